"""Schedules over the API."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from agents.api.authentication import TokenReadsOrManages
from agents.api.pagination import newest
from agents.api.timed_serializers import (
    FiredOut,
    NewSchedule,
    ScheduleForm,
    ScheduleOut,
    SchedulePage,
    TimesOut,
    TimingForm,
)
from agents.api.views.base import ApiView
from agents.api.views.runs import KEY_HEADER, idempotency_key
from agents.services import schedules as services
from agents.services.timed import times_of


class SchedulesView(ApiView):
    """The workspace's schedules."""

    permission_classes = (TokenReadsOrManages,)

    @extend_schema(operation_id="list_schedules", responses=SchedulePage)
    def get(self, request: Request) -> Response:
        """List the schedules, newest first."""
        page, following = newest(request, services.list_schedules(self.workspace()))
        return Response({"items": ScheduleOut(page, many=True).data, "next": following})

    @extend_schema(operation_id="create_schedule", request=NewSchedule, responses={201: ScheduleOut})
    def post(self, request: Request) -> Response:
        """Make a schedule. It emits `schedule.<name>` whenever it is due, which starts its agent, if it has one."""
        given = NewSchedule.read(request.data)
        name = given.pop("name")
        schedule = services.create_schedule(self.workspace(), name, services.Wanted(**given), by=self.person())
        address = f"/api/v1/schedules/{schedule.name}"
        return Response(ScheduleOut(schedule).data, status=201, headers={"Location": address})


class ScheduleView(ApiView):
    """One schedule."""

    permission_classes = (TokenReadsOrManages,)

    @extend_schema(operation_id="get_schedule", responses=ScheduleOut)
    def get(self, request: Request, name: str) -> Response:
        """Give a schedule with its next five times."""
        return Response(ScheduleOut(services.get_schedule(self.workspace(), name)).data)

    @extend_schema(operation_id="change_schedule", request=ScheduleForm, responses=ScheduleOut)
    def put(self, request: Request, name: str) -> Response:
        """Change all of a schedule but its name."""
        wanted = services.Wanted(**ScheduleForm.read(request.data))
        schedule = services.get_schedule(self.workspace(), name)
        return Response(ScheduleOut(services.change_schedule(schedule, wanted, by=self.person())).data)

    @extend_schema(operation_id="remove_schedule", responses={204: None})
    def delete(self, request: Request, name: str) -> Response:
        """Remove a schedule. Runs that it has started go on."""
        services.remove_schedule(services.get_schedule(self.workspace(), name), by=self.person())
        return Response(status=204)


class SchedulePauseView(ApiView):
    """Pausing a schedule."""

    @extend_schema(operation_id="pause_schedule", request=None, responses=ScheduleOut)
    def post(self, request: Request, name: str) -> Response:
        """Let a schedule fire no more until it is resumed."""
        schedule = services.get_schedule(self.workspace(), name)
        return Response(ScheduleOut(services.pause_schedule(schedule, by=self.person())).data)


class ScheduleResumeView(ApiView):
    """Resuming a schedule."""

    @extend_schema(operation_id="resume_schedule", request=None, responses=ScheduleOut)
    def post(self, request: Request, name: str) -> Response:
        """Let a schedule go on with its next time; what came while it was paused is not made up for."""
        schedule = services.get_schedule(self.workspace(), name)
        return Response(ScheduleOut(services.resume_schedule(schedule, by=self.person())).data)


class ScheduleRunView(ApiView):
    """Firing a schedule by hand."""

    @extend_schema(operation_id="run_schedule", request=None, responses={202: FiredOut}, parameters=[KEY_HEADER])
    def post(self, request: Request, name: str) -> Response:
        """Fire a schedule once, now, paused or not. The same Idempotency-Key gives the event of the first request."""
        schedule = services.get_schedule(self.workspace(), name)
        event = services.run_schedule_now(schedule, by=self.person(), key=idempotency_key(request))
        return Response(FiredOut(event).data, status=202)


class ScheduleTimesView(ApiView):
    """Times before there is a schedule."""

    @extend_schema(operation_id="schedule_times", request=TimingForm, responses=TimesOut)
    def post(self, request: Request) -> Response:
        """Give the next five times of a timing, without making anything of it."""
        return Response(TimesOut(times_of(**TimingForm.read(request.data))).data)
