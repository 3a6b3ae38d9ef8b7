"""What Word shows is read, and what it hides is not."""

import io

import mammoth  # type: ignore[import-untyped, unused-ignore]
import pytest

from dataset.conversion.office import docx
from dataset.conversion.office.word.package import word_package
from dataset.conversion.zip_container import ZipContainer
from tests.files import word
from tests.files.hostile import part_of, repacked
from tests.files.office import docx_of
from tests.files.word import cell, field, paragraph, row, run, strict, table, word_of

BOX = f"<w:txbxContent>{paragraph('In a box.')}</w:txbxContent>"
SHAPE = (
    "<w:drawing><wp:anchor><a:graphic><a:graphicData><wps:wsp><wps:txbx>"
    f"{BOX}</wps:txbx></wps:wsp></a:graphicData></a:graphic></wp:anchor></w:drawing>"
)
OLD_SHAPE = f"<w:pict><v:oval><v:textbox>{BOX}</v:textbox></v:oval></w:pict>"
ALTERNATIVES = f'<mc:AlternateContent><mc:Choice Requires="wps">{SHAPE}</mc:Choice>'
RAISED = '<w:vertAlign w:val="superscript"/>'
CHECKBOX = "<w:ffData><w:checkBox><w:default w:val='{}'/></w:checkBox></w:ffData>"
CHOICES = (
    '<w:ffData><w:ddList><w:result w:val="1"/><w:listEntry w:val="red"/>'
    '<w:listEntry w:val="blue"/></w:ddList></w:ffData>'
)
STYLES = (
    '<w:style w:type="character" w:styleId="Hidden"><w:rPr><w:vanish/></w:rPr></w:style>'
    '<w:style w:type="character" w:styleId="Derived"><w:basedOn w:val="Hidden"/></w:style>'
    '<w:style w:type="paragraph" w:styleId="Secret"><w:rPr><w:vanish/></w:rPr></w:style>'
    f'<w:style w:type="character" w:styleId="Up"><w:rPr>{RAISED}</w:rPr></w:style></w:styles>'
)
BOX_TO_TICK = f"<w:sdtPr><w14:checkbox/></w:sdtPr><w:sdtContent>{run('☒')}</w:sdtContent>"


def text_of(body: str, **parts: str) -> str:
    return docx.read_docx(word_of(body, **parts), "").text.strip()


def html_of(body: str, **parts: str) -> str:
    package = word_package(ZipContainer(word_of(body, **parts), "docx"))
    return str(mammoth.convert_to_html(io.BytesIO(package)).value)


def with_own_styles() -> str:
    usual = part_of(docx_of("x"), "word/styles.xml").decode()
    return usual.replace("</w:styles>", STYLES)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (f'<w:fldSimple w:instr="REF x">{run("page 7")}</w:fldSimple>', "page 7"),
        (f'<w:fldSimple w:instr="HYPERLINK &quot;https://x.example/&quot;">{run("site")}'
         "</w:fldSimple> ", "[site](https://x.example/)"),
        (field(" DOCPROPERTY v ", "71"), "71"),
        (field(f"{run('no')}{field('PAGE', 'never')}", "shown"), "shown"),
        (f'<w:bdo w:val="rtl">{run("one")}</w:bdo><w:dir w:val="rtl">{run(" two")}</w:dir>',
         "one two"),
        (run("שלום 9", "<w:rtl/>"), "שלום 9"),
        (f'<w:smartTag w:element="x"><w:smartTagPr/>{run("Oslo")}</w:smartTag>', "Oslo"),
        (f"<w:sdt><w:sdtPr/><w:sdtContent>{run('9044')}</w:sdtContent></w:sdt>", "9044"),
        (f"<w:sdt>{BOX_TO_TICK}</w:sdt>", "☒"),
        (field("FORMCHECKBOX", "", CHECKBOX.format(1)) + run(" on"), "☒ on"),
        (field("FORMCHECKBOX", "", CHECKBOX.format(0)) + run(" on"), "☐ on"),
        (field("FORMDROPDOWN", "", CHOICES), "blue"),
        (f'<w:ins>{run("new")}</w:ins><w:del><w:r><w:delText>old</w:delText></w:r></w:del>', "new"),
        (f'<w:moveTo>{run("here")}</w:moveTo><w:moveFrom>{run("there")}</w:moveFrom>', "here"),
        (f'{run("a")}<w:r><w:br w:type="page"/></w:r>{run("b")}<w:r><w:cr/></w:r>{run("c")}',
         "a\nb\nc"),
        (f'{run("a")}<w:r><w:ptab/></w:r>{run("b")}', "a b"),
        ('<w:r><w:t>on</w:t><w:noBreakHyphen/><w:t>call</w:t></w:r>', "on-call"),
        ('<w:r><w:sym w:font="Arial" w:char="00B5"/><w:sym w:font="Symbol" w:char="f06d"/></w:r>',
         "µμ"),
        (run("at \uf0b3 9", '<w:rFonts w:ascii="Symbol"/>'), "at ≥ 9"),
        ('<w:r><w:ruby><w:rubyPr/><w:rt><w:r><w:t>かぎ</w:t></w:r></w:rt><w:rubyBase><w:r><w:t>鍵'
         '</w:t></w:r></w:rubyBase></w:ruby></w:r>', "鍵(かぎ)"),
    ],
)  # fmt: skip
def test_text_is_read_whatever_it_is_wrapped_in(content: str, expected: str) -> None:
    assert text_of(paragraph(content)) == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (run("secret", "<w:vanish/>"), ""),
        (run("shown", '<w:vanish w:val="0"/>'), "shown"),
        (run("secret", '<w:rStyle w:val="Derived"/>'), ""),
        (run("shown", '<w:rStyle w:val="Derived"/><w:vanish w:val="false"/>'), "shown"),
        (paragraph("secret", '<w:pStyle w:val="Secret"/>'), ""),
        (table(row(cell("secret"), cell("x"), properties="<w:hidden/>")), ""),
    ],
)
def test_hidden_text_stays_hidden(content: str, expected: str) -> None:
    body = content if content.startswith(("<w:p>", "<w:tbl>")) else paragraph(content)
    text = text_of(body + paragraph("Words."), styles=with_own_styles())
    assert text.removesuffix("Words.").strip() == expected


@pytest.mark.parametrize(
    "shape",
    [
        f"{ALTERNATIVES}<mc:Fallback>{OLD_SHAPE}</mc:Fallback></mc:AlternateContent>",
        f"{ALTERNATIVES}</mc:AlternateContent>",
        '<mc:AlternateContent><mc:Choice Requires="x"/>'
        f"<mc:Fallback>{OLD_SHAPE}</mc:Fallback></mc:AlternateContent>",
        SHAPE,
        OLD_SHAPE,
    ],
)
def test_text_of_a_box_follows_its_paragraph_once(shape: str) -> None:
    host = paragraph(f"<w:r>{shape}</w:r>{run('Beside it.')}")
    assert text_of(host + paragraph("After it.")) == "Beside it.\n\nIn a box.\n\nAfter it."


def test_word_art_is_text() -> None:
    art = '<w:r><w:pict><v:shape><v:textpath string="62 slots"/></v:shape></w:pict></w:r>'
    assert text_of(paragraph(art)) == "62 slots"


def test_deleted_paragraph_mark_joins_paragraphs_but_not_a_paragraph_and_a_table() -> None:
    joined = paragraph("be", '<w:rPr><w:del w:id="1"/></w:rPr>')
    assert text_of(joined + paragraph("fore")) == "before"
    assert text_of(joined + table(row(cell("a"), cell("b")))) == "be\n\n| a | b |\n| --- | --- |"


def test_superscripts_of_a_style_and_notes_reach_the_html() -> None:
    note = f'<w:footnote w:id="2">{paragraph("For small plans.")}</w:footnote>'
    mark = f'<w:r><w:rPr>{RAISED}</w:rPr><w:footnoteReference w:id="2"/></w:r>'
    html = html_of(
        paragraph(run("2") + run("32", '<w:rStyle w:val="Up"/>') + run(" days") + mark),
        styles=with_own_styles(),
        footnotes=f"<w:footnotes {word.NAMESPACES}>{note}</w:footnotes>",
    )
    assert html.startswith('<p>2<sup>32</sup> days<sup><a href="#footnote-2"')
    assert '<li id="footnote-2"><p>For small plans. ' in html


def test_text_raised_by_hand_is_a_superscript() -> None:
    def html(height: int) -> str:
        return html_of(paragraph(run("2") + run("32", f'<w:position w:val="{height}"/>')))

    assert html(8) == "<p>2<sup>32</sup></p>"
    assert html(1) == html(-8) == "<p>232</p>"


def test_formula_keeps_its_structure() -> None:
    def part(name: str, text: str) -> str:
        return f"<m:{name}><m:r><m:t>{text}</m:t></m:r></m:{name}>"

    formula = (
        f"<m:r><m:t>r=2</m:t></m:r><m:f>{part('num', '1')}{part('den', 'n+1')}</m:f>"
        f"<m:sSup>{part('e', 'x')}{part('sup', '32')}</m:sSup><m:r><m:t>y</m:t></m:r>"
        f"<m:rad><m:deg/>{part('e', 'n')}</m:rad>"
        f'<m:d><m:dPr><m:begChr m:val="["/><m:endChr m:val="]"/></m:dPr>{part("e", "a")}</m:d>'
    )
    body = paragraph(f"<m:oMathPara><m:oMath>{formula}</m:oMath></m:oMathPara>")
    assert text_of(body) == "r=2 1/(n+1)x^32 y√(n)[a]"


def test_chart_and_smart_art_are_read() -> None:
    points = (f'<c:pt idx="0"><c:v>{value}</c:v></c:pt>' for value in ("East", "14"))
    names = "<c:tx><c:v>Load</c:v></c:tx><c:cat>{}</c:cat><c:val>{}</c:val>".format(*points)
    chart = f"<c:chartSpace {word.NAMESPACES}><c:ser>{names}</c:ser></c:chartSpace>"
    diagram = (
        f"<dgm:dataModel {word.NAMESPACES}><a:p><a:r><a:t>Lift</a:t></a:r></a:p></dgm:dataModel>"
    )
    links = "".join(
        f'<Relationship Id="{name}" Type="x/{name}" Target="{name}.xml"/>'
        for name in ("chart", "diagram")
    )
    package = word_of(
        paragraph(
            '<w:r><w:drawing><wp:inline><c:chart r:id="chart"/></wp:inline></w:drawing></w:r>'
        )
        + paragraph('<w:r><w:drawing><dgm:relIds r:dm="diagram"/></w:drawing></w:r>'),
        chart=chart,
        diagram=diagram,
    )
    uri = "http://schemas.openxmlformats.org/package/2006/relationships"
    relations = f'<Relationships xmlns="{uri}">{links}</Relationships>'.encode()
    package = repacked(package, {"word/_rels/document.xml.rels": relations})
    text = docx.read_docx(package, "").text
    assert text == "|  | Load |\n| --- | --- |\n| East | 14 |\n\nLift\n"


def test_cell_that_spans_rows_counts_in_each_and_a_shifted_row_keeps_its_columns() -> None:
    mark = '<w:bookmarkStart w:id="1" w:name="here"/>'
    shown = table(
        row(cell("Plan"), cell("Limit")),
        mark,
        row(cell("small", '<w:vMerge w:val="restart"/>'), cell("3 seats")),
        row(cell("<w:p/>", "<w:vMerge/>"), cell("4 GB")),
        row(cell("for all"), properties='<w:gridBefore w:val="1"/>'),
    )
    assert text_of(shown) == (
        "| Plan | Limit |\n| --- | --- |\n| small | 3 seats |\n| small | 4 GB |\n|  | for all |"
    )


def test_rows_stay_apart_if_all_are_marked_as_heads() -> None:
    shown = "| a | b |\n| --- | --- |\n| c | d |\n| e | f |"
    for mark in ("<w:tblHeader/>", '<w:tblHeader w:val="0"/>'):
        rows = (row(cell(one), cell(other), properties=mark) for one, other in ("ab", "cd", "ef"))
        assert text_of(table(*rows)) == shown


def test_cells_of_a_table_in_a_table_stay_apart() -> None:
    inner = table(row(cell("seats"), cell("3")), row(cell("ports"), cell("2"))) + paragraph("end")
    outer = table(row(cell("Plan"), cell("Limits")), row(cell("small"), cell(inner)))
    assert text_of(outer).split("\n\n") == [
        "Plan",
        "Limits",
        "small",
        "| seats | 3 |\n| --- | --- |\n| ports | 2 |",
        "end",
    ]


def test_strict_open_xml_is_read() -> None:
    body = paragraph("In Strict", '<w:pStyle w:val="Heading1"/>') + paragraph(
        f'<w:fldSimple w:instr="REF x">{run("92 slots")}</w:fldSimple>'
    )
    assert docx.read_docx(strict(word_of(body)), "").text == "# In Strict\n\n92 slots\n"
