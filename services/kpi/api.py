"""What kpi answers over HTTP: the 17 rates as of any instant, and the very items behind each."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from services.kpi import queries
from services.kpi.definitions import DEFINITIONS
from services.kpi.figures import Board, board_of
from services.kpi.items import instant_of, micros
from services.kpi.queries import Position
from services.kpi.rates import RATE_BY_KPI, RATES, Figure, Rate, Side, decimal_text
from services.kpi.windows import Window, window_start
from shared.auth import Identity, Role
from shared.errors import InvalidInput, NotFound
from shared.properties import Property
from shared.service import Service
from shared.web import Call, Endpoints, language_of

READERS: tuple[Role, ...] = ("manager", "quality", "operations", "dispatcher", "admin")
endpoints = Endpoints()
