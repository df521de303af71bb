"""What residents of the simulated tower ask for, in their two languages."""

from typing import Literal

from msgspec import Struct


class DemandText(Struct, frozen=True):
    """A demand that is raised now and then: `weight` against others of its kind."""

    kind: str
    zh: str
    en: str
    subject: str | None = None
    priority: Literal["low", "normal", "high", "urgent"] | None = None
    line: str | None = None
    weight: int = 10

    def summary(self, language: str) -> str:
        """The summary as the resident says it."""
        return self.en if language == "en" else self.zh


DEMAND_TEXTS = (
    DemandText("repair", "厨房水龙头漏水", "The kitchen tap leaks", "water_supply"),
    DemandText("repair", "卫生间地漏堵塞", "The bathroom drain is blocked", "water_supply"),
    DemandText(
        "repair", "客厅跳闸，没有电", "The living room has no power", "power_supply", "high", weight=6
    ),
    DemandText("repair", "热水不热", "The hot water is not hot", "water_supply", weight=7),
    DemandText("repair", "入户门锁打不开", "The entrance door does not open", "security", "high", weight=4),
    DemandText("repair", "空调不制冷", "The air conditioning does not cool", "maintenance", weight=8),
    DemandText("repair", "走廊灯不亮", "A light in the corridor is out", "power_supply", "low"),
    DemandText(
        "repair", "电梯按钮失灵", "A button in the elevator does not work", "elevators", "low", weight=4
    ),
    DemandText(
        "repair",
        "水管爆裂，正在漏水",
        "A pipe has burst, water is coming out",
        "water_supply",
        "urgent",
        weight=2,
    ),
    DemandText("complaint", "前台态度冷淡", "The reception was unfriendly", line="customer_service"),
    DemandText("complaint", "垃圾清运不及时", "The rubbish was not taken away", line="cleaning"),
    DemandText(
        "complaint", "保安未核实访客身份", "A visitor was let in unchecked", line="security", weight=5
    ),
    DemandText(
        "complaint", "维修两次仍未修好", "Repaired twice and still broken", line="maintenance", weight=6
    ),
    DemandText("complaint", "绿化带枯枝无人清理", "Dead branches are left lying", line="greening", weight=4),
    DemandText(
        "help", "老人摔倒，需要搀扶", "An elderly person fell and needs help", priority="urgent", weight=2
    ),
    DemandText("help", "钥匙锁在家里了", "Locked out, the keys are inside"),
    DemandText("help", "请帮忙搬一件重物", "Please help to carry something heavy"),
    DemandText("fee", "想核对本月物业费", "A question about this month's fee"),
    DemandText("fee", "发票抬头开错了", "The invoice has the wrong name", weight=5),
    DemandText("move_in", "预约办理入住手续", "An appointment for moving in"),
    DemandText("decoration", "申请装修备案", "Permission for decoration works"),
    DemandText("key_custody", "出差期间托管钥匙", "Please keep the keys while I travel"),
    DemandText("visitor", "有客人来访，请登记", "A guest is coming, please register"),
    DemandText("errand", "请代取快递", "Please collect a parcel"),
    DemandText("errand", "预约家政保洁", "Housekeeping, please", weight=14),
    DemandText("errand", "代订机场接送车", "An airport shuttle, please", weight=8),
    DemandText("club", "预约健身房私教", "A training hour in the fitness centre"),
    DemandText("club", "预订会所包间", "A private room in the club", weight=6),
    DemandText("community", "希望办一次社区茶会", "A tea afternoon for neighbours"),
    DemandText("business", "想了解月度管家套餐", "Interested in the monthly butler plan"),
    DemandText("suggestion", "建议大堂增加雨伞架", "An umbrella stand for the lobby"),
    DemandText("praise", "表扬工程师服务热情", "The engineer was wonderful"),
)

DEMANDS_PER_DAY = {
    "repair": 4.5, "complaint": 0.35, "help": 0.7, "fee": 0.5, "move_in": 0.12, "decoration": 0.1,
    "key_custody": 0.25, "visitor": 1.6, "errand": 1.2, "club": 0.8, "community": 0.05, "business": 0.25,
    "suggestion": 0.15, "praise": 0.2,
}  # fmt: skip
"""How many demands of each kind a day brings on average."""

ELEVATOR_REPORTS = tuple(
    DemandText("repair", zh, en, "elevators", "normal")
    for zh, en in (
        ("电梯停了，几部都上不去", "The elevator is dead"),
        ("等了十几分钟电梯还不来", "No elevator for a quarter of an hour"),
        ("电梯门关着，按键没有反应", "The elevator stays shut, the buttons do nothing"),
        ("大堂电梯停运，排长队了", "The lobby elevator is out, there is a long queue"),
        ("电梯停在楼层之间不动", "The elevator stands between two floors"),
    )
)
"""What many report at once when an elevator dies."""

MALL_FAULT = DemandText(
    "repair", "三楼商场自动门坏了", "The automatic door of the mall is broken", "maintenance"
)
"""Asked of us, though the commercial floors are served by others."""

REPAIR_RESULTS = ("已修好，试用正常", "已更换配件", "已疏通并清理现场", "已紧固并测试")
"""What engineers write when they are done; the staff write Chinese."""

COMMENTS = {
    5: ("非常满意", "Wonderful, thank you"),
    4: ("满意", "Good"),
    3: ("一般", "So so"),
    2: ("处理太慢", "Far too slow"),
    1: ("很失望", "Very disappointed"),
}
"""What somebody says beside a rating, in Chinese and English."""
