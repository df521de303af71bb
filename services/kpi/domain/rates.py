"""The catalogue of the target rates: an entry is all that there is to a rate; everything else reads it."""

from decimal import Decimal

from services.kpi.domain.rate import (
    ANSWERS,
    COMPLAINTS,
    FOLLOW_UPS,
    HOURS,
    INCIDENTS,
    MONEY,
    PLANTS,
    POINTS,
    REPAIRS,
    REWORKS,
    Area,
    BilingualText,
    How,
    Part,
    Rate,
)

OCCUPIED_UNITS = Part(("occupied_units",), "standing")
REPAIRS_DECIDED = Part(("repair_decided",))


def _satisfaction_rate(kpi: str, line: Area, name: BilingualText, subject: BilingualText) -> Rate:
    """The satisfied among those who rated a line of service; these rates are all counted alike."""
    ratings = Part((f"answer_{line}",))
    return Rate(
        kpi=kpi,
        name=name,
        definition=BilingualText(
            f"{subject.zh}评价中 4 分和 5 分的份数 ÷ 该项评价总份数；"
            "以评价时间归入统计期，更正后的评价取代原评价。",
            f"Ratings of 4 or 5 for {subject.en} by all its ratings; the answer's time decides, "
            "a correction replaces.",
        ),
        area=line,
        unit=ANSWERS,
        bound="min",
        target=Decimal("0.99"),
        numerator=ratings,
        denominator=ratings,
    )


_RATES: tuple[Rate, ...] = (
    _satisfaction_rate(
        "customer_satisfaction",
        "customer_service",
        BilingualText("客户服务满意率", "Customer satisfaction"),
        BilingualText("客户服务", "customer service"),
    ),
    Rate(
        kpi="valid_complaint",
        name=BilingualText("有效投诉率", "Valid complaints"),
        definition=BilingualText(
            "统计期内受理并被认定有效（且未被推翻）的投诉数 ÷ 最新已入住户数。",
            "Complaints received in the window, found valid and not overturned, "
            "by the latest occupied units.",
        ),
        area="customer_service",
        unit=COMPLAINTS,
        bound="max",
        target=Decimal("0.01"),
        numerator=Part(("valid_complaint",)),
        denominator=OCCUPIED_UNITS,
    ),
    Rate(
        kpi="fee_collection",
        name=BilingualText("物业管理费收缴率", "Fees collected"),
        definition=BilingualText(
            "统计期内到期账单的已缴金额（每张账单最多计其本身金额）÷ 这些账单的金额。",
            "Paid towards bills due in the window, each at most its own amount, "
            "by the amount of those bills.",
        ),
        area="customer_service",
        unit=MONEY,
        bound="min",
        target=Decimal("0.98"),
        numerator=Part(("bill",)),
        denominator=Part(("bill",)),
    ),
    Rate(
        kpi="follow_up",
        name=BilingualText("回访率", "Follow-ups done"),
        definition=BilingualText(
            "已完成的回访数 ÷ 统计期内到期的回访数；逾期未回访自到期起即计入。",
            "Follow-ups done by those whose due time lies in the window and has come.",
        ),
        area="customer_service",
        unit=FOLLOW_UPS,
        bound="min",
        target=Decimal(1),
        numerator=Part(("follow_up_repair", "follow_up_other")),
        denominator=Part(("follow_up_repair", "follow_up_other")),
    ),
    Rate(
        kpi="major_incident",
        name=BilingualText("重大管理责任事故发生率", "Major incidents"),
        definition=BilingualText(
            "统计期内发生且管理方有责任的重大事故数 ÷ 最新已入住户数。",
            "Major incidents with management responsibility by the latest figure of occupied units.",
        ),
        area="security",
        unit=INCIDENTS,
        bound="max",
        target=Decimal(0),
        numerator=Part(("incident_major",)),
        denominator=OCCUPIED_UNITS,
    ),
    Rate(
        kpi="general_incident",
        name=BilingualText("一般管理责任事故发生率", "General incidents"),
        definition=BilingualText(
            "统计期内发生且管理方有责任的一般事故数 ÷ 最新已入住户数。",
            "General incidents with management responsibility by the latest figure of occupied units.",
        ),
        area="security",
        unit=INCIDENTS,
        bound="max",
        target=Decimal("0.001"),
        numerator=Part(("incident_general",)),
        denominator=OCCUPIED_UNITS,
    ),
    _satisfaction_rate(
        "security_satisfaction",
        "security",
        BilingualText("安保服务满意率", "Satisfaction with security"),
        BilingualText("安保服务", "security"),
    ),
    Rate(
        kpi="repair_timeliness",
        name=BilingualText("维修及时率", "Repairs in time"),
        definition=BilingualText(
            "时限（响应、到场、完工，扣除等待）全部达到的维修数 ÷ 统计期内判定的维修数；"
            "完工或首次逾期即判定。",
            "Repairs that met every deadline by repairs decided: at completion, "
            "or when the first passes unmet.",
        ),
        area="maintenance",
        unit=REPAIRS,
        bound="min",
        target=Decimal(1),
        numerator=REPAIRS_DECIDED,
        denominator=REPAIRS_DECIDED,
    ),
    Rate(
        kpi="repair_pass",
        name=BilingualText("维修合格率", "Repairs passed"),
        definition=BilingualText(
            "首次检验即合格的维修数 ÷ 统计期内首次检验的维修数。",
            "Repairs whose first inspection passed by repairs first inspected in the window.",
        ),
        area="maintenance",
        unit=REPAIRS,
        bound="min",
        target=Decimal(1),
        numerator=Part(("repair_inspected",)),
        denominator=Part(("repair_inspected",)),
    ),
    Rate(
        kpi="equipment_intact",
        name=BilingualText("设备完好率", "Equipment intact"),
        definition=BilingualText(
            "设备完好时间（秒）÷ 在用时间（秒）；故障或维修中不算完好，自登记起至报废止。",
            "Seconds intact by seconds in service, from registration until retired; "
            "faulty or in repair is not.",
        ),
        area="maintenance",
        unit=HOURS,
        bound="min",
        target=Decimal(1),
        numerator=Part(("equipment",), "spanning"),
        denominator=Part(("equipment",), "spanning"),
    ),
    Rate(
        kpi="repair_follow_up",
        name=BilingualText("维修回访率", "Repairs followed up"),
        definition=BilingualText("同回访率，仅计维修。", "As follow-ups done, repairs only."),
        area="maintenance",
        unit=FOLLOW_UPS,
        bound="min",
        target=Decimal(1),
        numerator=Part(("follow_up_repair",)),
        denominator=Part(("follow_up_repair",)),
    ),
    _satisfaction_rate(
        "repair_satisfaction",
        "maintenance",
        BilingualText("维修服务满意率", "Satisfaction with repairs"),
        BilingualText("维修服务", "maintenance"),
    ),
    Rate(
        kpi="cleaning_pass",
        name=BilingualText("保洁合格率", "Cleaning passed"),
        definition=BilingualText(
            "保洁检查合格点数 ÷ 检查点数。", "Points passed by points checked in cleaning inspections."
        ),
        area="cleaning",
        unit=POINTS,
        bound="min",
        target=Decimal(1),
        numerator=Part(("inspected_cleaning",)),
        denominator=Part(("inspected_cleaning",)),
    ),
    _satisfaction_rate(
        "cleaning_satisfaction",
        "cleaning",
        BilingualText("保洁服务满意率", "Satisfaction with cleaning"),
        BilingualText("保洁服务", "cleaning"),
    ),
    Rate(
        kpi="greening_survival",
        name=BilingualText("绿化成活率", "Plants alive"),
        definition=BilingualText(
            "各绿化区域最近一次清点的成活株数 ÷ 栽植株数。",
            "Living by planted plants, by the latest count of each planting area.",
        ),
        area="greening",
        unit=PLANTS,
        bound="min",
        target=Decimal(1),
        numerator=Part(("plants",), "standing"),
        denominator=Part(("plants",), "standing"),
    ),
    Rate(
        kpi="greening_pass",
        name=BilingualText("绿化养护合格率", "Greening passed"),
        definition=BilingualText(
            "绿化检查合格点数 ÷ 检查点数。", "Points passed by points checked in greening inspections."
        ),
        area="greening",
        unit=POINTS,
        bound="min",
        target=Decimal(1),
        numerator=Part(("inspected_greening",)),
        denominator=Part(("inspected_greening",)),
    ),
    _satisfaction_rate(
        "greening_satisfaction",
        "greening",
        BilingualText("绿化养护满意率", "Satisfaction with greening"),
        BilingualText("绿化养护", "greening"),
    ),
    # The target is that of the model-building standard: 全国物业管理示范大厦, 返修率 <= 1 %.
    Rate(
        kpi="repair_rework",
        name=BilingualText("返修率", "Repairs reworked"),
        definition=BilingualText(
            "统计期内提出的返修件数 ÷ 统计期内判定的维修数；返修是因回访不满意而另开的维修工单，"
            "以提出时间计入；返修本身也是维修，同样判定。",
            "Reworks raised in the window by repairs decided in it; a rework is the repair that "
            "a dissatisfied answer opens anew: it counts when it is raised, and is itself decided "
            "like any other repair.",
        ),
        area="maintenance",
        unit=REWORKS,
        bound="max",
        target=Decimal("0.01"),
        numerator=Part(("repair_rework",)),
        denominator=REPAIRS_DECIDED,
    ),
)

RATES: dict[str, Rate] = {rate.kpi: rate for rate in _RATES}
"""By name, in the order in which they are shown."""


def families_by(how: How) -> set[str]:
    """The families whose items fall into windows in that way."""
    parts = [part for rate in RATES.values() for part in (rate.numerator, rate.denominator)]
    return {family for part in parts if part.how == how for family in part.families}
