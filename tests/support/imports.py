"""A small invented event log with everything that real ones have: waits, reopenings, dirt."""

MAPPING = """\
property = "tower"
source = "old-desk"
zone = "Asia/Shanghai"
time_format = "%Y-%m-%d %H:%M"
unknown = ["?", ""]
case = "number"
raised_at = "opened"

[demand]
kind = "repair"
summary = "Incident {number}"
"location.place" = "{place}"
priority = { column = "state", table = { new = "urgent" }, otherwise = "normal" }

[start]
repair = "reported"

[[moments]]
at = "changed"
column = "state"

[states]
New = { state = "reported" }
Active = { state = "on_site" }
Waiting = { state = "waiting", data = { reason = "parts" } }
Vendor = { state = "waiting", data = { reason = "contractor" } }
Resolved = { state = "completed" }
Closed = { state = "following_up" }

[[moves]]
action = "assign"
from = ["reported"]
to = "dispatched"
data = { engineer = { column = "who", pick = ["wang", "li"] } }

[[moves]]
action = "accept"
from = ["dispatched"]
to = "accepted"

[[moves]]
action = "arrive"
from = ["accepted"]
to = "on_site"

[[moves]]
action = "wait"
from = ["on_site"]
to = "waiting"

[[moves]]
action = "resume"
from = ["waiting"]
to = "on_site"

[[moves]]
action = "complete"
from = ["on_site"]
to = "completed"

[[moves]]
action = "inspect"
from = ["completed"]
to = "following_up"
data = { passed = true }

[[moves]]
action = "inspect"
from = ["completed"]
to = "on_site"
data = { passed = false }
"""

LOG = """\
number,state,opened,changed,place,who
A1,New,2016-03-01 08:00,2016-03-01 08:00,boiler room,?
A1,Active,2016-03-01 08:00,2016-03-01 08:05,boiler room,7
A1,Waiting,2016-03-01 08:00,2016-03-01 09:00,boiler room,7
A1,Resolved,2016-03-01 08:00,2016-03-01 13:00,boiler room,7
A1,Active,2016-03-01 08:00,2016-03-01 14:00,boiler room,7
A1,Closed,2016-03-01 08:00,2016-03-02 16:00,boiler room,7
A1,Resolved,2016-03-01 08:00,2016-03-01 16:00,boiler room,7
A2,Resolved,2016-03-02 08:00,2016-03-02 12:00,?,3
A2,Closed,2016-03-02 08:00,yesterday,?,3
A2,Closed,2016-03-02 08:00,2016-03-01 12:00,?,3
A2,Lost,2016-03-02 08:00,2016-03-02 12:00,?,3
A3,New,?,2016-03-02 12:00,?,3
A3,New,2016-03-02 08:00,2016-03-02 12:00
A2,Closed,2016-03-02 08:00,2016-03-03 12:00,?,3
A4,Closed,2016-03-03 08:00,2016-03-03 12:00,?,3
A4,Active,2016-03-03 08:00,2016-03-03 13:00,?,3
A5,Active,2016-03-04 08:00,2016-03-04 09:00,lobby,1
A5,Waiting,2016-03-04 08:00,2016-03-04 10:00,lobby,1
A5,Vendor,2016-03-04 08:00,2016-03-04 11:00,lobby,1
"""
