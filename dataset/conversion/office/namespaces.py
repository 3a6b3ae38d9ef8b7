"""The namespaces of Open XML, as prefixes of ElementTree's tags."""

_OFFICE = "http://schemas.openxmlformats.org"

W = f"{{{_OFFICE}/wordprocessingml/2006/main}}"
P = f"{{{_OFFICE}/presentationml/2006/main}}"
A = f"{{{_OFFICE}/drawingml/2006/main}}"
C = f"{{{_OFFICE}/drawingml/2006/chart}}"
DIAGRAM = f"{{{_OFFICE}/drawingml/2006/diagram}}"
M = f"{{{_OFFICE}/officeDocument/2006/math}}"
R = f"{{{_OFFICE}/officeDocument/2006/relationships}}"
MC = f"{{{_OFFICE}/markup-compatibility/2006}}"
A14 = "{http://schemas.microsoft.com/office/drawing/2010/main}"
V = "{urn:schemas-microsoft-com:vml}"
