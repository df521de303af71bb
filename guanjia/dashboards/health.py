"""The dashboard of the software's own health: is everything up, does everything flow, what does it cost."""

from grafana_foundation_sdk.builders import dashboard, stat, timeseries

from guanjia.dashboards.panels import Query, board, curve, metric, number

OURS = 'job=~"intake|dispatch|survey|kpi"'
COPY = "{{job}} {{instance}}"


def build_health_dashboard() -> dashboard.Dashboard:
    """All of it."""
    built = board(
        "guanjia-health",
        "系统 · Health",
        "服务、消息与资源。 Services, messages and resources.",
        since="now-1h",
        refresh="10s",
    )
    for panel in _current_panels():
        built.with_panel(panel)
    for title, panels in (("消息 · messages", _message_panels()), ("资源 · resources", _resource_panels())):
        built.with_row(dashboard.Row(title))
        for trend in panels:
            built.with_panel(trend)
    return built


def _current_panels() -> list[stat.Panel]:
    dead_letters = f"sum({metric('guanjia_dead_letters', 'queue')})"
    firing = 'count(ALERTS{alertstate="firing"}) or vector(0)'
    return [
        number(
            "运行副本 · copies up", Query(f"sum by (job) (up{{{OURS}}})", "{{job}}"), bad_below=1, width=8
        ),
        number("告警 · alerts firing", Query(firing), bad_above=1),
        number("去向不明 · demands unaccounted for", Query("max(guanjia_demands_unaccounted)"), bad_above=1),
        number("死信 · dead letters", Query(dead_letters), bad_above=1),
        number(
            "最久未发 · oldest event unsent",
            Query("max(guanjia_outbox_oldest_seconds)"),
            unit="s",
            bad_above=30,
            decimals=1,
        ),
    ]


def _message_panels() -> list[timeseries.Panel]:
    age = metric("guanjia_kpi_as_of_timestamp_seconds", "property")
    return [
        curve(
            "待发 · events to be sent",
            Query(metric("guanjia_outbox_pending", "service"), "{{service}}"),
            width=8,
        ),
        curve(
            "最久未发 · age of the oldest of them",
            Query(metric("guanjia_outbox_oldest_seconds", "service"), "{{service}}"),
            unit="s",
            width=8,
        ),
        curve(
            "死信，按队列 · dead letters by queue",
            Query(metric("guanjia_dead_letters", "queue"), "{{queue}}"),
            width=8,
        ),
        curve(
            "RabbitMQ 队列 · messages in queues",
            Query("sum(rabbitmq_queue_messages_ready)", "待取 · ready"),
            Query("sum(rabbitmq_queue_messages_unacked)", "处理中 · unacknowledged"),
            width=8,
        ),
        curve(
            "RabbitMQ 连接 · connections and consumers",
            Query("sum(rabbitmq_connections)", "连接 · connections"),
            Query("sum(rabbitmq_consumers)", "消费者 · consumers"),
            width=8,
        ),
        curve("指标时效 · age of the rates", Query(f"time() - {age}", "{{property}}"), unit="s", width=8),
    ]


def _resource_panels() -> list[timeseries.Panel]:
    cpu = f"rate(process_cpu_seconds_total{{{OURS}}}[$__rate_interval])"
    return [
        curve("CPU", Query(cpu, COPY), unit="percentunit"),
        curve("内存 · memory", Query(f"process_resident_memory_bytes{{{OURS}}}", COPY), unit="bytes"),
        curve("打开的文件 · open files", Query(f"process_open_fds{{{OURS}}}", COPY), width=8),
        curve(
            "运行时间 · time since start",
            Query(f"time() - process_start_time_seconds{{{OURS}}}", COPY),
            unit="s",
            width=8,
        ),
        curve(
            "抓取耗时 · time that a scrape takes",
            Query(f"scrape_duration_seconds{{{OURS}}}", COPY),
            unit="s",
            width=8,
        ),
    ]
