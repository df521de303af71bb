"""What each rate counts, in a sentence for people: Chinese first, then English."""

from collections.abc import Mapping

from shared.properties.targets import TargetName

_SATISFACTION_ZH = (
    "{}评价中 4 分和 5 分的份数 ÷ 该项评价总份数；以评价时间归入统计期，更正后的评价取代原评价。"
)
_SATISFACTION_EN = (
    "Ratings of 4 or 5 for {} by all its ratings; the answer's time decides, a correction replaces."
)

DEFINITIONS: Mapping[TargetName, tuple[str, str]] = {
    "customer_satisfaction": (
        _SATISFACTION_ZH.format("客户服务"),
        _SATISFACTION_EN.format("customer service"),
    ),
    "valid_complaint": (
        "统计期内受理并被认定有效（且未被推翻）的投诉数 ÷ 最新已入住户数。",
        "Complaints received in the window, found valid and not overturned, by the latest occupied units.",
    ),
    "fee_collection": (
        "统计期内到期账单的已缴金额（每张账单最多计其本身金额）÷ 这些账单的金额。",
        "Paid towards bills due in the window, each at most its own amount, by the amount of those bills.",
    ),
    "follow_up": (
        "已完成的回访数 ÷ 统计期内到期的回访数；逾期未回访自到期起即计入。",
        "Follow-ups done by those whose due time lies in the window and has come.",
    ),
    "major_incident": (
        "统计期内发生且管理方有责任的重大事故数 ÷ 最新已入住户数。",
        "Major incidents with management responsibility by the latest figure of occupied units.",
    ),
    "general_incident": (
        "统计期内发生且管理方有责任的一般事故数 ÷ 最新已入住户数。",
        "General incidents with management responsibility by the latest figure of occupied units.",
    ),
    "security_satisfaction": (_SATISFACTION_ZH.format("安保服务"), _SATISFACTION_EN.format("security")),
    "repair_timeliness": (
        "时限（响应、到场、完工，扣除等待）全部达到的维修数 ÷ 统计期内判定的维修数；完工或首次逾期即判定。",
        "Repairs that met every deadline by repairs decided: at completion, or when the first passes unmet.",
    ),
    "repair_pass": (
        "首次检验即合格的维修数 ÷ 统计期内首次检验的维修数。",
        "Repairs whose first inspection passed by repairs first inspected in the window.",
    ),
    "equipment_intact": (
        "设备完好时间（秒）÷ 在用时间（秒）；故障或维修中不算完好，自登记起至报废止。",
        "Seconds intact by seconds in service, from registration until retired; faulty or in repair is not.",
    ),
    "repair_follow_up": ("同回访率，仅计维修。", "As follow-ups done, repairs only."),
    "repair_satisfaction": (_SATISFACTION_ZH.format("维修服务"), _SATISFACTION_EN.format("maintenance")),
    "cleaning_pass": (
        "保洁检查合格点数 ÷ 检查点数。",
        "Points passed by points checked in cleaning inspections.",
    ),
    "cleaning_satisfaction": (_SATISFACTION_ZH.format("保洁服务"), _SATISFACTION_EN.format("cleaning")),
    "greening_survival": (
        "各绿化区域最近一次清点的成活株数 ÷ 栽植株数。",
        "Living by planted plants, by the latest count of each planting area.",
    ),
    "greening_pass": (
        "绿化检查合格点数 ÷ 检查点数。",
        "Points passed by points checked in greening inspections.",
    ),
    "greening_satisfaction": (_SATISFACTION_ZH.format("绿化养护"), _SATISFACTION_EN.format("greening")),
}
