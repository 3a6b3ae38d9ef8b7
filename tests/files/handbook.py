"""The handbook of a made-up company, as people write them: runbooks, price sheets, FAQ, tables."""
# The library that makes Word files ships no types.
# mypy: disable-error-code="import-untyped"

import re
from collections.abc import Sequence
from datetime import date, timedelta
from html import escape
from itertools import groupby
from pathlib import Path

from tests.files.office import saved, xlsx_of

# Name | team | place | what they do
QUESTIONS = Path(__file__).with_suffix(".jsonl")
"""Labelled questions about it."""

PEOPLE = """
Zoë Brandt | Storage | Zürich | leads the team and approves every change of a database schema
Łukasz Wójcik | Storage | Łódź | tunes indexes and runs the yearly restore exercise
Amara Koné | Storage | Abidjan | looks after message delivery and cold storage
Håkon Nilsen | Storage | Tromsø | plans capacity and buys the disks
José Albuquerque | Money | São Paulo | leads the team and talks to the banks
Inés Cordero | Money | Málaga | answers questions of auditors about invoices
Beata Król | Money | Łódź | keeps the tax tables current and closes each month
Tiago Gonçalves | Money | São Paulo | reconciles bank statements every morning
Jörg Wätzold | Edge | Zürich | leads the team and signs off new public endpoints
Solveig Åsen | Edge | Tromsø | renews certificates and hands out host names
Paweł Żak | Edge | Łódź | handles complaints about spam and the mail providers
Renée Yao | Edge | Abidjan | tests releases on slow mobile networks
Siân Prosser | Insight | Málaga | leads the team and answers requests about personal data
Mateus Brandão | Insight | São Paulo | maintains the build agents and the calendar of releases
Anaïs Kouadio | Insight | Abidjan | reviews every experiment before it starts
Rubén Ibáñez | Insight | Málaga | draws the dashboards and trains new colleagues to read them
"""

# What a team is for, its channel, its weekly meeting
TEAMS = """
Storage | Everything that keeps data: caches, queues, backups | #ask-storage | Tuesday 10:00
Money | Everything that ends up on an invoice or a bank account | #ask-money | Monday 14:30
Edge | Everything a customer's device talks to first | #ask-edge | Thursday 09:15
Insight | Measuring, experiments, schedules and the audit trail | #ask-insight | Wednesday 15:00
"""

# Service | owner | monthly cost in euros | language | region | port | alert
SERVICES = """
Borealis cache | Håkon Nilsen | 1840 | C | eu-nor | 6411 | BorealisEvictionStorm
Quarry search | Łukasz Wójcik | 3275 | Rust | eu-alp | 7200 | QuarryReplicaLagHigh
Cinder queue | Amara Koné | 960 | C++ | eu-alp | 5680 | CinderHeadStuck
Mosswood archive | Amara Koné | 2110 | Go | eu-nor | 8440 | MosswoodChecksumMismatch
Tidepool proxy | Zoë Brandt | 735 | C | sa-coast | 6033 | TidepoolPoolExhausted
Granite snapshots | Łukasz Wójcik | 1390 | C++ | eu-nor | 9107 | GraniteSnapshotOverdue
Lantern billing | Inés Cordero | 2640 | Java | eu-alp | 8085 | LanternDoubleInvoice
Pennywhistle payouts | Tiago Gonçalves | 1175 | Kotlin | sa-coast | 8092 | PennywhistleFileRejected
Abacus tax | Beata Król | 410 | C# | eu-alp | 5044 | AbacusParseFailures
Marigold subscriptions | José Albuquerque | 1520 | C# | sa-coast | 5051 | MarigoldRenewalsStalled
Ledgerline reports | Beata Król | 890 | Python | eu-alp | 8610 | LedgerlineMemoryHigh
Heron gateway | Jörg Wätzold | 4180 | Go | multi-region | 443 | HeronThrottleRate
Saltmarsh login | Solveig Åsen | 1655 | Rust | multi-region | 8765 | SaltmarshClockSkew
Puffin notifications | Paweł Żak | 1205 | Python | eu-nor | 8310 | PuffinBounceRate
Driftwood uploads | Renée Yao | 1980 | C++ | eu-alp | 7070 | DriftwoodScratchFull
Kittiwake names | Solveig Åsen | 345 | C | multi-region | 5353 | KittiwakeSerialBehind
Foxglove webhooks | Paweł Żak | 615 | Go | eu-alp | 8222 | FoxgloveSignatureErrors
Thimble metrics | Rubén Ibáñez | 2890 | C# | eu-nor | 9290 | ThimbleSeriesExplosion
Juniper recommendations | Anaïs Kouadio | 3720 | Python | eu-alp | 8501 | JuniperModelTooOld
Sundial scheduler | Mateus Brandão | 580 | Java | sa-coast | 8970 | SundialJobRanTwice
Pebble flags | Mateus Brandão | 320 | Rust | multi-region | 7411 | PebbleFlagsLate
Owlet audit log | Siân Prosser | 1090 | Java | eu-nor | 9455 | OwletChainBroken
"""

# Config key | environment variable | default | meaning
SETTINGS = """
borealis.warm_up_seconds | BOREALIS_WARM_UP | 90 | how long a fresh node refuses to evict
borealis.arena_mb | BOREALIS_ARENA | 4096 | memory for entries on each node
quarry.max_replica_lag_ms | QUARRY_MAX_LAG | 1500 | a replica further behind gets no traffic
quarry.merge_threads | QUARRY_MERGERS | 4 | threads that merge index segments
cinder.max_deliveries | CINDER_MAX_DELIVERIES | 12 | tries before a message is parked
mosswood.part_size_mb | MOSSWOOD_PART_SIZE | 64 | size of one uploaded part
tidepool.pool_size | TIDEPOOL_POOL | 180 | connections to the database
granite.deadline_minutes | GRANITE_DEADLINE | 55 | a snapshot that takes longer raises the alert
lantern.idempotency_hours | LANTERN_IDEMPOTENCY | 48 | how long an invoice key is remembered
pennywhistle.cutoff_utc | PENNYWHISTLE_CUTOFF | 15:40 | last moment for the bank file of the day
abacus.culture | ABACUS_CULTURE | invariant | number format of the rate files
marigold.renewal_batch | MARIGOLD_BATCH | 250 | subscriptions renewed in one transaction
ledgerline.chunk_rows | LEDGERLINE_CHUNK | 20000 | rows read at once
heron.burst | HERON_BURST | 40 | requests a client may send at once
saltmarsh.max_skew_s | SALTMARSH_SKEW | 5 | tolerated difference between two clocks
puffin.bounce_limit_pct | PUFFIN_BOUNCE_LIMIT | 3 | share of bounces that stops a campaign
driftwood.scratch_gb | DRIFTWOOD_SCRATCH | 300 | disk for unfinished files
kittiwake.refresh_s | KITTIWAKE_REFRESH | 120 | pause between two zone transfers
foxglove.old_secret_hours | FOXGLOVE_OLD_SECRET | 24 | how long the previous secret is accepted
thimble.max_series | THIMBLE_MAX_SERIES | 2000000 | distinct label sets in memory
juniper.max_model_age_days | JUNIPER_MODEL_AGE | 9 | an older model raises the alert
sundial.zone | SUNDIAL_ZONE | UTC | time zone in which job times are read
pebble.stream_idle_s | PEBBLE_STREAM_IDLE | 30 | a silent stream is opened again after this
owlet.seal_every | OWLET_SEAL | 1000 | records between two seals
"""

RUNBOOKS: dict[str, str] = {
    "borealis": """## What you see
Pages get slow about two minutes after a restart, the hit ratio falls under 40 % and the log says:
~ W evict.c:218 evict_lru: 51200 entries dropped in 1 s, arena 97 % full
## Why
After a cold start all clients write at once and entries are thrown away that were only just
written. The warm-up window is too short for the traffic.
## What to do
1. Look at the hit ratio: `borealisctl stats --last 5m`.
2. Raise `borealis.warm_up_seconds` to 240 and run `borealisctl reload`.
3. If the arena stays above 95 %, set `borealis.arena_mb` to 6144, restarting one node at a time.
4. Wait for `I evict.c:90 steady state reached`. Never flush by hand: that starts it all over.""",
    "quarry": """## Symptoms
New products can't be found for many minutes although they're saved. Some searches give old results
and others new ones, depending on which replica answers.
~ ERROR quarry::replica: replica r3 is 48211 ms behind, last segment 00af31
## Cause
A replica falls behind when a large merge takes all of its disk. It keeps its traffic until the lag
passes `quarry.max_replica_lag_ms`, also set by `QUARRY_MAX_LAG`.
1. Find the slow replica: `quarry-admin lag --all`.
2. Take it out: `quarry-admin drain r3`.
3. Lower `quarry.merge_threads` to 2 on that host and wait until the lag is under 200 ms.
4. Put it back: `quarry-admin undrain r3`. Rebuilding a replica from nothing takes 6 hours.""",
    "cinder": """## The queue doesn't move
The depth grows in a straight line while the workers are idle. One message at the head crashes every
worker that takes it, goes back to the head and is handed out again:
~ terminate called after throwing an instance of 'cinder::decode_error'
~   what():  varint longer than 10 bytes at offset 37
1. Show the head: `cinder peek orders --count 1`. Write its id into the incident.
2. Park it: `cinder park orders MESSAGE_ID`. It moves to `orders.parked` and is kept for 21 days.
3. Check that `cinder.max_deliveries` isn't 0: zero means *try forever* and was the cause twice.
4. Tell the team that sent the message. Don't purge the queue, paid orders are in it.""",
    "mosswood": """## Archived files don't match
The nightly check compares each part with the sum that was stored at upload. A mismatch looks so:
~ level=error msg="part 17 of 40: want crc32c 9b1e77c0, got 00000000" object=inv/2025/11
All zeros means that the part was never written because the uplink closed early. Other values mean a
damaged disk, and that's an incident of level 2.
1. `mosswood verify --object NAME` reads the object again.
2. For zeros: `mosswood reupload --object NAME --part 17`. The source is kept for 72 hours.
3. For other values: stop the node with `mosswood cordon HOST` and ask Håkon Nilsen for a disk.
4. Slow uplinks do better with `mosswood.part_size_mb` at 16.""",
    "tidepool": """## Symptom
Requests hang for exactly 30 seconds and then fail, while the database itself is nearly idle.
~ tidepool[811]: accept4: Too many open files (EMFILE), 180 of 180 leases taken
Each client holds a lease on a connection. A client that dies without closing keeps its lease until
the keep-alive ends after 15 minutes. A deploy that kills many clients therefore empties the pool.
1. `tidepoolctl leases --idle 60` lists leases that nobody has used for a minute.
2. `tidepoolctl reap --idle 60` takes them back. This is safe: open transactions are left alone.
3. Check the limit of the process: `cat /proc/$(pidof tidepool)/limits`; it must be 65536 files.
4. Only then raise `tidepool.pool_size`. The database accepts 400 connections in all.""",
    "granite": """## Alert
The hourly snapshot wasn't finished within `granite.deadline_minutes`. Most often the compressor was
killed by a signal and the controller keeps waiting for it:
~ granite-pack: Segmentation fault in granite::Huffman::flush() at huffman.cpp:402
## First aid
1. `granite status` shows the volume and the percentage. The same number twice means it's dead.
2. `granite abort VOLUME`, then `granite take VOLUME --codec store`, which doesn't compress. It
   needs three times the space, so look at `df -h /snap` before.
3. Save the core file from `/var/crash` for the Storage team.
## Restoring
`granite restore VOLUME --at 2026-01-31T04:00` writes about 2 GB each second. The old volume is
renamed to `VOLUME.before` and not deleted.""",
    "lantern": """## Customers got two invoices
The second invoice has another number but the same lines. The key that should stop it was forgotten
because the retry came after `lantern.idempotency_hours`, or the key was empty:
~ java.lang.NullPointerException: orderKey
~     at lantern.invoice.KeyStore.remember(KeyStore.java:88)
~     at lantern.invoice.InvoiceRun.send(InvoiceRun.java:141)
1. Stop the run: `lanternctl pause --reason duplicate`.
2. List the pairs: `lanternctl duplicates --since yesterday --csv pairs.csv`.
3. Cancel the later one of each pair with a credit note: `lanternctl credit --from pairs.csv`.
4. Ask Money before you resume. Cards charged twice are paid back within 5 working days.""",
    "pennywhistle": """## The bank refuses our file
Suppliers don't get their money and the bank's portal shows a red line. In our log:
~ BankReply code=FF07 text="value date in the past" file=PW-20260130-2.xml
FF07: sent after the cut-off, `pennywhistle.cutoff_utc`. FF11: bad account. FF19: bad signature.
- FF07: `payouts redate PW-20260130-2.xml --next-bank-day`, then `payouts send`. No approval needed.
- FF11: take that one payment out with `payouts split FILE --bad`, send the rest.
- FF19: the key card in the Zürich safe has expired. José Albuquerque signs by hand.
Never send a file twice without a new name: the bank pays both.""",
    "abacus": """## Tax of 19.00 became 1900
A rate file was read with the wrong number format, or the reader refused it:
~ System.FormatException: The input string '7,60' was not in a correct format.
~    at Abacus.Rates.RateFile.Parse(String line) in RateFile.cs:line 57
This happens when `abacus.culture` isn't `invariant`, often after someone set it for a local test.
1. `abacus rates --show CH` must print 8.1 for the normal rate.
2. Set the culture back and load again: `abacus rates --reload`.
3. Orders taken meanwhile: `abacus recompute --from 08:00 --dry-run`, look, then without the flag.
4. More than 50 wrong orders: write to the tax adviser the same day.""",
    "marigold": """## Renewals are stuck
Trials that should have turned into paid plans stay in the state `ending`. The worker is alive but
rolls back the same batch again and again, since one row in it can't be saved:
~ TimeZoneNotFoundException: The time zone ID 'America/Sao_Paolo' was not found
1. `marigold stuck --state ending` prints the customer whose record is wrong.
2. Correct the zone on the customer's page (here it's a spelling mistake: Paolo for Paulo).
3. If you can't find the row, set `marigold.renewal_batch` to 1: only the bad one stays behind.
4. Set it back to 250 afterwards, otherwise a night's renewals take 11 hours.
Customers keep full access for 3 days while a renewal is late; there's no need to wake anybody.""",
    "ledgerline": """## Month-end report dies
On the first of the month the report for the largest customer is killed without a stack trace:
~ kernel: Out of memory: Killed process 2204 (ledgerline) total-vm:33104220kB
The report reads the whole month at once if the sheet has a pivot. Otherwise it reads
`ledgerline.chunk_rows`.
1. Start the report again with `ledgerline run --no-pivot --customer ID`.
2. Still killed? Use the large host: `ledgerline run --host big-2`; it has 256 GB. Book it first in
   the calendar *Large host*, two reports at once do not fit.
3. Send the pivot later, it's owed only by the 5th working day.""",
    "heron": """## Many clients get 429
The gateway sends `429 Too Many Requests` to clients that did nothing unusual. Usually a large
customer shares one address among all of its users, and the `RateLimiter` counts them as one.
~ rate_limiter: key=ip:203.0.113.9 tokens=0 burst=40 wait=2.1s path=/v2/orders
1. `heronctl top --by key` shows who is throttled. One key far ahead is a shared address.
2. Count that customer by token: `heronctl limit set --customer ID --by token`.
3. For a real flood: `heronctl block ip:ADDRESS --for 30m`. Longer blocks need the Edge lead.
4. `heron.burst` is for everyone: don't raise it above 120, the services behind can't take more.""",
    "saltmarsh": """## People are thrown out right after signing in
They enter the right password, see the first page and are asked again. Tokens of one host are
refused by the others, since its clock is ahead:
~ WARN saltmarsh::token: iat is 11 s in the future, limit 5 s, issuer login-4
1. Compare clocks: `saltmarsh clocks`. A host with more than 5 s is wrong.
2. On that host: `chronyc makestep`, then `chronyc tracking`.
3. If it has no time source, drain it: `saltmarsh drain login-4`.
Don't raise `saltmarsh.max_skew_s` above 10: it's a finding in the security review of 2025. Locked
accounts open themselves after 20 minutes; support may open one earlier with `saltmarsh unlock`.""",
    "puffin": """## Mails come back
More than `puffin.bounce_limit_pct` per cent of a campaign's mails come back, and sending stops by
itself. If we went on, the mail providers would put us on a block list for about 14 days.
~ 550 5.1.1 user unknown (campaign=spring-news batch=12 bounced=381/9000)
- *user unknown* in most lines: the list is old. `puffin campaign cancel ID`, talk to Marketing.
- *552 mailbox full*: harmless, `puffin campaign resume ID --skip-bounced`.
- *554 policy*: we are already blocked. Switch with `puffin route set backup` and tell Paweł Żak.
Text messages are sent again only after 90 seconds; a person who got two has two numbers stored.""",
    "driftwood": """## Uploads fail at the end
Customers send a large file, the bar reaches 100 %, then an error appears. The scratch disk is full:
~ driftwood::join: write: No space left on device (28) upload=7c1f need=5368709120
1. `driftwood scratch --top 20` lists the largest unfinished uploads.
2. `driftwood gc --older-than 36h` removes those that nobody has continued. Younger ones are alive.
3. If less than 60 GB are free after that, add a volume and raise `driftwood.scratch_gb`.
4. Customers needn't send everything again: the client continues from the last piece of 8 MB.
The largest file we accept is 50 GB; a video team asked for more and was refused.""",
    "kittiwake": """## A new host name isn't known
A name was added an hour ago, some machines find it and others don't. One secondary has an old zone:
~ kittiwaked: zone corp.wren: serial 2026013004 behind primary 2026013009, refused by 10.4.0.2
`refused` means that the secondary isn't in the list of allowed hosts, mostly after its address
changed. Run `kittiwake allow ADDRESS` on the primary and `kittiwake transfer corp.wren` on the
secondary. When the serial of the *primary* is the lower one, somebody restored an old copy: stop,
and raise the serial with `kittiwake bump corp.wren` before anything else. Machines remember that a
name is missing for 300 seconds, so wait five minutes before you test again.""",
    "foxglove": """## Receivers say our signature is wrong
It starts at the minute when a secret was changed. Events in the queue are still signed with the
secret from before, and the receiver has thrown that away.
~ delivery failed: 401 from receiver, header X-Wren-Signature v=41, receiver expects v=42
1. Ask the customer to accept both secrets for `foxglove.old_secret_hours`, 24 hours by default.
2. If they can't: `foxglove resign --customer ID` signs all waiting events again.
3. Events are tried 9 times over 3 days. After that: `foxglove replay --customer ID --since DATE`.
A receiver that needs more than 7 seconds to answer counts as failed, too.""",
    "thimble": """## Dashboards are empty
The store refuses new series because there are more than `thimble.max_series`. Someone has put
something without limits, such as an order number or a mail address, into a label.
~ Thimble.Store.SeriesLimitException: 2000001 series, newest label order_id (1.4 million values)
1. `thimble labels --top 5` names the label and the service that sends it.
2. Drop it at the door: `thimble drop --label order_id`. Dashboards come back after one minute.
3. Ask the service's owner to remove the label within 2 working days, then `thimble undrop`.
A restart without step 2 doesn't help. Raw points stay for 15 days, hourly ones for 13 months.""",
    "juniper": """## Shop shows last season's items
Suggestions no longer follow what people buy, because the model hasn't been replaced. The weekly
training was skipped when its input had too few rows:
~ ValueError: 1180442 events, expected at least 4000000; keeping model 2026-01-17
1. `juniper model --age` prints the days. Up to 9 are fine, `juniper.max_model_age_days`.
2. Look for the gap: `juniper events --by-day`. A day near zero means that the shop's tracker broke.
3. Train on a longer window: `juniper train --days 45`. It takes 3 hours on one large host.
4. Until then show bestsellers: `pebble set juniper-fallback on`.""",
    "sundial": """## A job ran twice, or not at all
It happens in the night when clocks change, if `sundial.zone` isn't UTC: 02:30 may come twice.
~ JobRunner - job 'dunning-letters' fired at 02:30 (+02:00) and at 02:30 (+01:00)
1. `sundial history JOB --last 3` shows both runs.
2. Mail that went out can't be taken back; tell support and give them the text *clock change*.
3. A skipped job: `sundial run JOB --as-of 02:30`.
4. Set the zone to UTC and move jobs out of 01:00 to 03:00.
A job that takes longer than 6 hours is stopped and reported to its owner.""",
    "pebble": """## A switch was flipped and nothing happens
Clients get changes over an open stream. Some firewalls close silent ones, and clients wait:
~ pebble_client: stream silent for 1810 s, revision 5512, server has 5530
1. `pebble clients --behind` counts who has an older revision.
2. More than a tenth: `pebble kick --behind` makes them connect again, spread over 2 minutes.
3. Set `pebble.stream_idle_s` to 10 for customers behind such a firewall.
In an emergency a flag can be forced with `pebble set NAME off --force`, which every client obeys
within 15 seconds. Flags older than 180 days are deleted after a warning.""",
    "owlet": """## The chain of records is broken
Each record holds the hash of the one before. The check found a place where it doesn't fit:
~ owlet.chain.BrokenLinkException: record 88120417 expects 5e0c.., found 91aa.., seal 88120
**Treat this as a security incident until you know better.** Don't repair anything.
1. Freeze: `owlet freeze`. Writers store their records locally for up to 8 hours.
2. Call the security phone, 4949 from any desk.
3. Compare with the second copy: `owlet compare --seal 88120`. If one copy is right, a disk broke.
4. `owlet thaw` is run only by two people together, one of them from Insight.""",
}

PAGES: dict[str, str] = {
    "policies/expenses.md": """# Expenses
You get back what you spent for work if you send the receipt within 60 days. Photograph it with the
form *Outlay*; below 15 euros a card statement is enough. Amounts up to 200 euros are paid without
anyone's approval, your lead approves up to 1500, and a director everything above. Ask first if it's
more than 200: a refused receipt is your own loss.
**Payment.** Money is on your account with the next salary if the form arrives before the 12th of
the month, otherwise a month later. Foreign currency is converted at that day's rate.
**Limits.** Meals with customers may cost 55 euros a head, drinks included; write down who was
there. A team has 30 euros a person and quarter for going out together, and the sum can't be carried
over. Gifts to customers end at 35 euros. We never pay parking fines, minibar bills or airport
lounges. Books and courses come from the learning budget, 900 euros a year each.""",
    "policies/leave.md": """# Leave
How many days you have depends on the country and is in the table `holiday-allowance.docx`. Enter
leave in the calendar tool; up to 3 days in a row need only a note to your team, longer ones your
lead's yes, which has to come within 5 working days or counts as given. Ask 10 weeks ahead if it's
more than 15 days.
**Illness.** When you're ill, write to your lead before 10:00. A doctor's note is needed from the
4th day on. Days of illness during leave are given back if you have a note. With a sick child each
parent may stay at home for 8 days a year, paid in full.
**Other free days.** Moving house gives 1 free day, your own wedding 2, the death of a close
relative 5. You can take unpaid leave for up to 6 months after 3 years with us; your desk is kept,
your bonus isn't. The week between 24 December and 1 January is free for all who aren't on call.""",
    "policies/security.md": """# Security
Report anything odd at once, even if it was your own mistake: telephone 4949 from any desk, or the
channel `#red-door`. Nobody has ever been punished for a report. A lost laptop or badge must be
reported within 2 hours; the laptop is wiped from afar and the badge is blocked.
**Every day.** Screens lock after 4 minutes. Visitors wear a yellow badge and are never left alone.
Customer data stays on our machines: no copies on private devices, none on memory sticks. If you
need real data for a test, ask the data protection office; the copy is deleted after 10 days.
**Access.** Access to production is given for 9 hours at a time through `opendoor`, with a ticket
number, and each command is written to the audit log. Rights are reviewed every quarter; those not
used for 120 days are removed. Serious holes in libraries are closed within 48 hours, others within
30 days. Once a year we pay strangers to break in; the report is open to all staff.""",
    "policies/severity.md": """# Incident severity
**Level 1**: customers can't order or pay, or data is in wrong hands. A leader of the incident is
named within 10 minutes, the status page is changed within 20, and news follows every 30 minutes
even if there's none. All hands that are needed are woken.
**Level 2**: one important thing is broken, or data of ours is damaged, but there's a way around it.
Work starts within 30 minutes, day or night, with an update every 2 hours.
**Level 3**: a nuisance. It waits for the next working day. The ticket is closed within 10 days.
**Who decides.** Whoever notices first chooses the level; when in doubt take the more serious one.
Only the leader of the incident may lower it. The leader doesn't type commands; one other person
writes the timeline into the channel `#inc-NUMBER`.
**Afterwards.** After levels 1 and 2 a review is written within 6 working days. It names causes, not
people, and has at most 5 actions, each with a name and a date. Customers on the plans Orchard and
Grove get a summary within 3 working days.""",
    "policies/oncall-pay.md": """# On-call pay
A week on call runs from Monday 09:00 to Monday 09:00. Being reachable pays 310 euros a week, or 520
if it has a public holiday in it. Each call between 22:00 and 06:00 adds 75 euros, however short it
was, and the time worked counts one and a half times.
**Answering.** You have to answer a page within 8 minutes and be at a keyboard within 25. If you
don't answer, the backup is called, and after 8 more minutes the lead of the team.
**Rest and swaps.** Nobody is on-call more than one week in four. After a night with more than 2
hours of work you don't start before 13:00, and the morning is paid. New colleagues join the rota
after 4 months and after two weeks as a shadow, which are paid at half the rate. Swaps are between
the two of you: change the rota sheet before Friday 16:00. Whoever is older than 58, pregnant, or
has a child below 1 may stay out of the oncall rota without giving a reason.""",
    "policies/code-review.md": """# Code review
Each change is read by one other person, by two if it touches money, login or the audit log. A
reviewer answers within 1 working day. If nobody does, ask in the channel, after 2 days the lead.
**Size.** Keep changes small: above 400 changed lines the reviewer may send it back unread.
Generated files don't count. The pre-commit hook has to pass before you ask, see the guide for it.
**Comments.** Say what must change and what is only taste: start the second kind with *nit*. The
author may ignore a nit without an answer. After three rounds of comments you talk instead of
writing. A new commit doesn't undo an approval unless it changes more than 20 lines.
**Hotfixes.** Urgent repairs during an incident may be merged with the word `hotfix` and are read
afterwards, by noon of the next working day. We had 14 of those last year. No merges on Friday.""",
    "policies/data-retention.md": """# Data retention
We keep data as long as a law or a contract says, and not a day longer. Periods for each kind of
record are in `retention-periods.docx`; this page says how deletion works.
**The weekly job.** A job marks what is due each Sunday. Its owner has 14 days to object, with a
reason in writing, and an objection holds for 6 months at most. Then the record is removed from the
live systems; copies in backups vanish with the backup, after 35 days at the latest.
**Requests.** A person who asks for deletion gets an answer within 10 days and is deleted within 25.
Invoices stay, since the law wants them, but the name is replaced by a number after 3 years. A
person who asks for a copy of their data gets it as one archive, and the link works for 7 days.
**Legal hold.** A legal hold stops all deletion for the people it names. Only the legal office sets
one, and each is looked at again after 90 days. Siân Prosser answers questions.""",
    "policies/passwords.md": """# Passwords
Passwords you type have at least 14 characters; we don't ask for signs or digits and never for a
change after some months. You change one only when it may be known to others.
**The safe.** Everything else belongs into the password safe *Nutshell*, which makes passwords of 24
characters. Share by folder, never by chat or mail. The second factor is a hardware key; each of us
gets two, and the second one stays at home. Text messages as second factor were ended in 2024.
**Lost passwords.** After 6 wrong attempts an account is closed for 20 minutes. A forgotten password
is reset only in a video call with a colleague who knows you; this takes about a quarter of an hour.
**Services.** Service secrets are changed every 90 days by a job. A secret that was ever committed
is burnt: change it within 1 hour, even if the repository is private, and tell `#red-door`.""",
    "policies/travel.md": """# Travel
Take the train if it takes less than 6 hours. Book through the desk *Wayfare* at least 12 days
ahead; tickets bought elsewhere are paid only up to 150 euros. Second class is the rule, first class
is fine from 4 hours on if it costs less than 1.3 times as much. Planes: business above 9 hours.
**Hotels.** Daily money and hotel limits for each country are in the table `travel-expenses.docx`.
Above the limit you need a yes from your lead beforehand. Staying with friends instead of a hotel
gives 25 euros a night, no receipt needed.
**On the way.** Your own car is paid at 0.38 euros a kilometre, with a passenger 0.42. Rental cars
are of the small class. Time on the way counts as work, up to 10 hours a day. After a trip across
more than 5 time zones the first day is free. Each of us may visit another office for one week a
year, paid from a common budget of 40 trips.""",
    "policies/home-office.md": """# Home office
You may work from home up to 3 days a week, in agreement with your team. Each team has one day on
which all come in. Core time is 10:00 to 15:30 in your own time zone, wherever you sit.
**Your desk.** For your desk at home we pay 450 euros once and 28 euros a month for power and
network. You choose; a chair below 120 euros is not accepted because of your back.
**Other countries.** From another country you may work up to 40 days a year if it's one of those in
which we have an office, and 15 days in the rest of Europe. Tell the people desk 3 weeks ahead: they
need a form for social insurance. It isn't possible elsewhere.
**Networks.** In trains and cafes use a privacy filter, which the equipment desk hands out, and no
calls about customers. A guest network is fine with the tunnel on. If your network fails for more
than 2 hours, come in or take the time off.""",
    "policies/parental-leave.md": """# Parental leave
Every parent has 20 weeks at full pay, whichever way the child came into the family and whatever the
law of the country gives. The weeks can be taken in up to 3 pieces until the child's second
birthday. For twins there are 6 weeks more.
**Before.** Tell your lead 10 weeks before the date if you can. Your work is handed over in the last
2 weeks, and you're taken off the rota 8 weeks before. Nobody writes to you while you're away, apart
from one letter a quarter if you want it.
**After.** When you come back you may work 80 % for 6 months at 90 % of the pay. Your old place is
kept for 18 months. Nursing breaks are work time, and every office has a room with a lock for it.
**Special cases.** Adopting parents get 5 days for visits to the office in charge. After a loss you
have 4 weeks, without any proof. Grandparents may take 3 days in the first month.""",
    "policies/equipment.md": """# Equipment
On the first day you get a laptop, a screen, a headset and two hardware keys. Prices and waiting
times of the models are in the sheet `equipment.xlsx`. A laptop is replaced after 42 months.
**Repairs.** Broken things: bring them to the equipment desk, open 09:30 to 11:30, and you go away
with a spare one. Repairs take 6 working days on average. Spilled coffee happens and is paid by us
the first time; the second time in a year costs you 100 euros.
**Leaving.** You may buy your old laptop for 15 % of its price after the disk was wiped, which takes
a week. Apart from that all devices go back by your last working day.
**Software.** Install what you like from the internal store; anything else is asked for by ticket
and checked in about 4 days. Machines that were not updated for 21 days lose the network.""",
    "offices/zurich.md": """# Zürich office
Address: Lindenrain 14, 2nd floor, 8005 Zürich. 62 desks. The door code has six digits, changes on
the first Monday of a month and is shown in the *Doorkeeper* app; after 19:00 add the badge.
**Lunch:** soup and salad at 12:15 in the room Murmeltier, 9 francs, order before 10:30.
**Parking:** 4 places in the yard, to be booked; bicycles go into the cellar, key at the reception.
**Floor plan:** `zrh-f2-2025.pdf`. Meeting rooms: Murmeltier (12), Steinbock (6), Gämse (4).
**Emergency contact:** Ursina Bösch, +41 44 555 01 32. Assembly point: the fountain.""",
    "offices/sao-paulo.md": """# São Paulo office
Address: Rua das Jabuticabas 380, 11th floor, São Paulo. 48 desks. There's no door code: the porter
compares your face with the list, so send a photograph 2 days before your first visit.
**Lunch:** a meal card with 46 reais a day; the kitchen has fruit and coffee from 08:00.
**Parking:** level -2, 15 places, first come first served. The lift stops at 23:00.
**Floor plan:** `gru-f11-v3.pdf`. Meeting rooms: Ipê (14), Sabiá (8), Caju (3).
**Emergency contact:** Márcia Antunes, +55 11 5550 0147. Assembly point: the bakery.""",
    "offices/lodz.md": """# Łódź office
Address: ulica Tkacka 7, old weaving mill, Łódź. 35 desks. The code of the gate is your employee
number backwards; the inner door opens with the badge only. Three errors block it for 10 minutes.
**Lunch:** pierogi on Wednesday are on the house; other days the canteen gives us 20 % off.
**Parking:** free in the yard, except on market days (Tuesday and Saturday before 14:00).
**Floor plan:** `ldz-mill-ground.pdf`. Meeting rooms: Wrzeciono (10), Czółenko (5).
**Emergency contact:** Grażyna Pająk, +48 42 555 02 19. Assembly point: the chimney.""",
    "offices/malaga.md": """# Málaga office
Address: Calle del Esparto 22, Málaga. 27 desks. The door code has four digits and is sent by text
message each morning at 07:00; it isn't valid on Sunday. Summer hours are 08:00 to 15:00.
**Lunch:** bring your own or join the table at Casa Remedios, 11 euros, on Thursday rice.
**Parking:** none. The garage in Calle Ancla has a tariff for us, 6 euros a day with the stamp.
**Floor plan:** `agp-esparto.pdf`. Meeting rooms: Boquerón (8), Biznaga (4).
**Emergency contact:** Begoña Ruiz, +34 952 555 061. Assembly point: the palm.""",
    "offices/abidjan.md": """# Abidjan office (Côte d'Ivoire)
Address: Rue des Palétuviers 9, Cocody, Abidjan. 31 desks. A guard is there day and night; say the
word of the week, which is on the first slide of Monday's meeting. Badges open the server room only.
**Lunch:** attiéké with fish or chicken at 12:45, 2500 francs, paid half by us.
**Parking:** 8 places under the roof. After 21:00 a taxi home is paid, order it at the guard's desk.
Power cuts: the generator starts after 12 seconds and has fuel for 30 hours.
**Floor plan:** `abj-cocody-b.pdf`. Meeting rooms: Baobab (16), Lagune (6).
**Emergency contact:** Désiré N'Guessan, +225 27 5550 0183. Assembly point: the mango tree.""",
    "offices/tromso.md": """# Tromsø office
Address: Fiskergata 3, Tromsø. 19 desks. The outer door is open from 07:30 to 16:30; otherwise type
the code of your birthday (day, month) and hold the badge. Don't let anyone in behind you.
**Lunch:** bread, cheese and fish at 11:30, free, everyone washes up once a fortnight.
**Parking:** 5 places with a plug for the engine heater; take off the cable before you drive.
Studded shoes can be borrowed from the box by the door. In December lamps are lent for your desk.
**Floor plan:** `tos-fiskergata.pdf`. Meeting rooms: Nordlys (7), Lundefugl (3).
**Emergency contact:** Ragnhild Bjørnø, +47 77 55 50 24. Assembly point: the red boathouse.""",
    "guides/c-builds.md": """# Building our C services
Borealis, Tidepool and Kittiwake are written in C17 and built with `make`, not with a generator. Run
`make tools` once; it fetches the compiler into `.toolchain`, about 700 MB. A full build takes some
40 seconds, `make check` another 3 minutes since it runs every test under the memory checker.
Warnings are errors. If you have to silence one, use `WREN_UNUSED(x)`, never a cast to void. Headers
live in `include/wren/`, and each one must compile alone: `make headers` tests that. A crash without
a useful stack: build with `make MODE=asan` and run again. It's five times slower. Release files are
built by agents only, with `MODE=ship`, and are signed on the way out.""",
    "guides/cpp-builds.md": """# Building our C++ services
Cinder, Granite and Driftwood use C++20. The build is described in `CMakeLists.txt`, presets are in
the same folder: `cmake --preset dev` and then `cmake --build --preset dev`. The first build takes
18 minutes; with the shared compiler cache it's 2. Switch that on with `export WREN_CCACHE=on`.
Exceptions may be thrown but must not leave a thread. Raw `new` is found by the linter and refused.
*undefined reference to vtable* nearly always means that a new file isn't in the list of sources.
Linking needs 6 GB of memory; on small laptops add `-j2`. Tests: `ctest --preset dev -L fast` for
the quick ones, without `-L fast` it takes half an hour.""",
    "guides/csharp-builds.md": """# Building our C# services
Abacus, Marigold and Thimble are one solution, `Ledger.sln`, built with `dotnet build`. The version
of the SDK is fixed in `global.json`; with another one you get *NETSDK1045*, and `./sdk.sh` installs
the right one. Packages come from our own feed. A 401 there means that your token is older than 30
days: `./feed-login.sh` makes a new one. Nullable warnings are errors in new projects; two old ones
have a list of exceptions that may only get shorter. Public names are in PascalCase, private fields
start with an underscore. Run tests with `dotnet test --filter Category!=Slow`. Tests run in the
culture `de-CH` on purpose, so that a forgotten number format is found.""",
    "guides/rollback.md": """# How to roll back a release
A roll-back is the first thing to try when errors rise within 2 hours of a deploy. Look later.
1. `ship history SERVICE` lists the last 20 releases.
2. `ship back SERVICE` returns to the one before; `ship back SERVICE --to NUMBER` to an older one.
3. Watch the error rate for 10 minutes. The rollback itself takes about 90 seconds.
4. Block the bad release with `ship ban NUMBER`, otherwise the next deploy brings it in again.
If the release changed a table, ask first: columns are dropped only 2 releases later, so one step
back is always possible, two may not be. Flags aren't rolled back; look at them separately.""",
    "guides/pre-commit.md": """# The pre-commit hook
Install it with `./dev/hooks.sh` in each clone. It formats, lints, looks for secrets and refuses
files above 2 MB. It looks only at what you changed and should be done in 5 seconds; if it takes
longer, delete `.hook-cache`. *secret-like string in line N* for something harmless: add the comment
`not-a-secret` to that line. Reviewers look at each of these. To skip the pre_commit step once, set
`WREN_SKIP_HOOK=1`; the same checks run again on the build agent, so you win nothing but time.""",
    "guides/rate-limiter.md": """# Using the rate limiter library
The class `RateLimiter` (Go, Kotlin, C#) and the module `rate_limiter` (Python, Rust) do the same: a
bucket of tokens for each key. Give it a rate, a burst and a store:
~ limiter = rate_limiter.Bucket(rate=20, burst=40, store="borealis")
~ if not limiter.take(key): raise TooMany(retry_after=limiter.wait(key))
Without a store each process counts alone, so with 6 processes a client gets six times as much. When
the store can't be reached the limiter lets everything through and logs *limiter open*. In tests use
`FrozenClock` instead of sleeping. Keys are at most 128 bytes; longer ones are hashed.""",
}

MULTI_REGION = """
What it means | A multi-region service runs in eu-nor, eu-alp and sa-coast at once. Four of ours \
do, see the table of ports. The others have one home and a cold copy elsewhere.
Losing a region | Traffic moves by itself after 3 failed checks, 45 seconds in all. The two others \
must be able to carry everything, so no region may be used above 60 %.
Moving by hand | Run <code>regionctl drain sa-coast --over 10m</code>. Back again with \
<code>regionctl fill sa-coast --over 30m</code>; filling faster has overrun the caches before.
Data | Writes go to the customer's home region. Copies elsewhere are at most 4 seconds old. \
Cold copies of other services are 6 hours old at worst, and starting one takes 50 minutes.
Exercise | On the second Wednesday of March and October we switch one region off on purpose.
"""

FAQ = """
Where do I find my payslip? | In the people desk's portal, Documents, from the 25th of the month.
How do I get a guest onto the wireless network? | With a slip of the reception, valid for 12 hours.
Can I bring my dog? | To Tromsø and Łódź, yes, after a trial day. Not to the other offices.
Who pays for my glasses? | We pay 180 euros every 2 years if you need them for the screen.
How long is the trial period? | Five months. In the first month either side can leave within 7 days.
May I have a second job? | Up to 8 hours a week, after telling the people desk.
How do I book the large host? | In the calendar Large host, 4 hours at a time, at most twice a week.
When is salary paid? | On the 27th, or on the working day before. In December on the 20th.
Do we get a bonus? | One per cent of salary for each 5 per cent that the company grows, 6 at most.
Is there help with learning a language? | Yes, 2 lessons a week with a teacher, in work time.
What do I get for bringing a friend? | You get 1200 euros when your friend's trial period is over.
"""

GLOSSARY = """
Big red | The phone list for incidents of level 1. It hangs in every kitchen.
Cold copy | A service's data in a second region without running processes.
Dunning letter | A reminder that an invoice is overdue. The first goes out after 10 days.
Freeze | The time from 12 December to 4 January in which nothing but repairs is released.
Grown-up | The person in a release meeting who may say no. It changes weekly.
Large host | The two machines big-1 and big-2 for heavy reports and training.
Parked message | A message taken out of a queue for a human to look at.
Shadow | A person on call together with an experienced colleague, to learn it.
"""

PLANS = """
Plan | Price per month | Seats | Calls per day | Storage | First answer of support
Seed | 0 EUR | 2 | 500 | 1 GB | 5 working days
Sprout | 29 EUR | 8 | 10 000 | 25 GB | 2 working days
Orchard | 149 EUR | 40 | 150 000 | 400 GB | 8 hours
Grove | 690 EUR | unlimited | 2 000 000 | 5 TB | 45 minutes
"""

EQUIPMENT = """
Item | Model | Price | Waiting time | For whom
Laptop, light | Fennel 13 | 1180 EUR | 5 days | everyone
Laptop, strong | Fennel 16 Pro | 2240 EUR | 12 days | builders of C and C++ services
Screen | Panorama 32 | 415 EUR | 3 days | everyone
Standing desk | Stilt | 530 EUR | 6 weeks | with a doctor's note first
Chair | Perch | 385 EUR | 4 weeks | everyone
Hardware key | Acorn | 42 EUR | 1 day | two each
Privacy filter | Blinder 13 | 31 EUR | 1 day | who travels
"""

TRAVEL = """
Country | Full day | Half day | Hotel limit per night
Switzerland | 74 EUR | 49 EUR | 195 EUR
Brazil | 46 EUR | 31 EUR | 115 EUR
Poland | 39 EUR | 26 EUR | 98 EUR
Spain | 42 EUR | 28 EUR | 124 EUR
Côte d'Ivoire | 51 EUR | 34 EUR | 142 EUR
Norway | 68 EUR | 45 EUR | 178 EUR
Elsewhere | 44 EUR | 29 EUR | 130 EUR
"""

HOLIDAYS = """
Country | Days a year | Carried over | Until
Switzerland | 27 | 6 | 30 April
Brazil | 30 | 10 | 30 June
Poland | 28 | 7 | 30 September
Spain | 26 | 5 | 31 January
Côte d'Ivoire | 29 | 8 | 31 May
Norway | 25 | 12 | 31 December
"""

RETENTION = """
Record | Kept for | Afterwards
Invoices | 11 years | deleted
Applications of people we didn't hire | 5 months | deleted
Chat messages | 2 years | deleted
Recordings of support calls | 70 days | deleted
Badge logs of the doors | 40 days | deleted
Audit records | 8 years | moved to paper summary
Access logs of the gateway | 95 days | counted, then deleted
"""


def fields(text: str) -> list[list[str]]:
    """The rows of a small table written with bars."""
    return [[cell.strip() for cell in line.split("|")] for line in text.strip().splitlines()]


def slug(name: str) -> str:
    """The short name of a service or team."""
    return name.split()[0].lower()


def md_table(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, the first row as its head."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])


def md(title: str, *parts: str) -> str:
    """A Markdown page: blank lines around its blocks, fences around lines that start with ~."""
    text = re.sub(r"\n(?=\*\*)", "\n\n", "\n\n".join(parts))
    blocks = [f"# {title}"]
    for kind, lines in groupby(text.splitlines(), kind_of):
        block = "\n".join(lines)
        if kind == "code":
            block = "```\n" + re.sub("(?m)^~ ", "", block) + "\n```"
        if kind != "blank":
            blocks.append(block)
    return "\n\n".join(blocks) + "\n"


def kind_of(line: str) -> str:
    """The kind of Markdown block that a line belongs to."""
    kinds = {"": "blank", "~": "code", "#": "heading", "|": "table", "-": "list", " ": "list"}
    return "list" if re.match(r"\d+\. ", line) else kinds.get(line[:1], "prose")


def html(title: str, rows: Sequence[Sequence[str]]) -> str:
    """A page with a heading for each row."""
    body = "\n".join(f"<h2>{head}</h2>\n<p>{text}</p>" for head, text in rows)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{escape(title)}'
        f"</title></head>\n<body>\n<h1>{escape(title)}</h1>\n{body}\n</body>\n</html>\n"
    )


def docx(title: str, before: str, rows: Sequence[Sequence[str]], after: str) -> bytes:
    """A Word file with a table between two sections."""
    from docx import Document

    document = Document()
    document.add_heading(title, level=1)
    document.add_paragraph(before)
    document.add_heading("Table", level=2)
    table = document.add_table(rows=0, cols=len(rows[0]))
    for row in rows:
        for cell, text in zip(table.add_row().cells, row, strict=True):
            cell.text = text
    document.add_heading("Notes", level=2)
    document.add_paragraph(after)
    return saved(document)


def runbook(service: Sequence[str]) -> str:
    """What to do when a service's alert is raised."""
    name, owner, _, language, _, _, alert = service
    team = next(person[1] for person in fields(PEOPLE) if person[0] == owner)
    settings = [row for row in fields(SETTINGS) if row[0].startswith(slug(name) + ".")]
    used = "; ".join(f"`{key}` (default {default})" for key, _, default, _ in settings)
    head = f"Alert: `{alert}`. Team: {team}. Language: {language}. Settings: {used}."
    return md(f"Runbook: {name}", head, RUNBOOKS[slug(name)])


def team_page(name: str, purpose: str, channel: str, meeting: str) -> str:
    """Who is in a team and does what."""
    people = [person for person in fields(PEOPLE) if person[1] == name]
    who = "\n".join(f"- **{person}** ({place}) {does}." for person, _, place, does in people)
    owned = {person[0] for person in people}
    services = ", ".join(row[0] for row in fields(SERVICES) if row[1] in owned)
    about = f"{purpose}. Ask in `{channel}`. Weekly meeting: {meeting}, Zürich time."
    return md(f"Team {name}", about, "## People", who, "## Services", services + ".")


def rota() -> list[list[str]]:
    """Who is on call in the first weeks of 2026."""
    rows = [["Week from", "Team", "On call", "Backup"]]
    for week in range(8):
        monday = date(2026, 1, 5) + timedelta(weeks=week)
        for team, *_ in fields(TEAMS):
            names = [person[0] for person in fields(PEOPLE) if person[1] == team]
            rows.append([monday.isoformat(), team, names[week % 4], names[(week + 1) % 4]])
    return rows


def pages() -> dict[str, str | bytes]:
    """Every file of the handbook by its name."""
    services = fields(SERVICES)
    files: dict[str, str | bytes] = {}
    for name, text in PAGES.items():
        title, _, body = text.partition("\n")
        files[name] = md(title.removeprefix("# "), body)
    for service in services:
        files[f"runbooks/{slug(service[0])}.md"] = runbook(service)
    for team in fields(TEAMS):
        files[f"teams/{slug(team[0])}.md"] = team_page(*team)
    ports = [["Service", "Language", "Region", "Port"], *([s[0], *s[3:6]] for s in services)]
    files["services/ports.md"] = md("Where services run", md_table(ports))
    head = ["Setting", "Environment variable", "Default", "Meaning"]
    files["services/settings.md"] = md("Settings", md_table([head, *fields(SETTINGS)]))
    costs: list[list[str | int]] = [["Service", "Monthly cost (EUR)", "Owner"]]
    costs += [[name, int(cost), owner] for name, owner, cost, *_ in services]
    files["services/services.xlsx"] = xlsx_of(costs)
    files["teams/rota.xlsx"] = xlsx_of(rota())
    files["prices/plans.xlsx"] = xlsx_of(fields(PLANS))
    files["equipment/equipment.xlsx"] = xlsx_of(fields(EQUIPMENT))
    files["faq.html"] = html("Questions people ask", fields(FAQ))
    files["glossary.html"] = html("Our words", fields(GLOSSARY))
    files["guides/multi-region.html"] = html("Multi-region services", fields(MULTI_REGION))
    files["policies/travel-expenses.docx"] = docx(
        "Travel expenses by country",
        "The full day counts from 8 hours away, the half day from 5.",
        fields(TRAVEL),
        "The table is looked at every January by the Money team.",
    )
    files["policies/holiday-allowance.docx"] = docx(
        "Holiday allowance by country",
        "Days for a full week of work; public holidays come on top.",
        fields(HOLIDAYS),
        "After 10 years with us everyone has 2 days more. Days that aren't used in time are lost.",
    )
    files["policies/retention-periods.docx"] = docx(
        "Retention periods",
        "How long each kind of record is kept. The rules are on the page about data retention.",
        fields(RETENTION),
        "A record that is in no row is kept for 1 year.",
    )
    return files


def write_handbook(folder: Path) -> Path:
    """Writes the handbook into a folder, and returns the folder."""
    for name, content in pages().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder
