"""A tenant's teams."""

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from config.errors import NotFound
from config.openapi import tenant_errors
from config.wire import CursorQuery
from paywalls import teams
from paywalls.models import Team
from paywalls.serializers.tenants import (
    MemberRequest,
    TeamAnswer,
    TeamPatch,
    TeamRequest,
    TeamsAnswer,
    team_json,
)
from paywalls.views.base import TenantView

TAGS = ["Teams"]
TEAM = OpenApiParameter("team_id", str, OpenApiParameter.PATH, description="The app's own id of the team.")
USER = OpenApiParameter("user_id", str, OpenApiParameter.PATH, description="The app's own id of the user.")


class TeamsView(TenantView):
    @extend_schema(
        operation_id="listTeams",
        summary="The customer's teams",
        tags=TAGS,
        parameters=[CursorQuery],
        responses={200: OpenApiResponse(TeamsAnswer, "A page, newest first."), **tenant_errors()},
    )
    def get(self, request: Request) -> Response:
        asked = self.read(CursorQuery, request.query_params)
        rows = _teams(self).order_by("-id")
        if "cursor" in asked:
            rows = rows.filter(pk__lt=asked["cursor"])
        page = list(rows[: asked["limit"] + 1])
        more = len(page) > asked["limit"]
        page = page[: asked["limit"]]
        return Response(
            {"data": [team_json(row) for row in page], "nextCursor": str(page[-1].pk) if more else None}
        )

    @extend_schema(
        operation_id="createTeam",
        summary="Make a team",
        tags=TAGS,
        request=TeamRequest,
        responses={201: OpenApiResponse(TeamAnswer, "The team."), **tenant_errors(409, 413, 415)},
    )
    def post(self, request: Request) -> Response:
        """Its wallet is made with its first credit or reported event; an event may also name a team that is not
        there yet."""
        asked = self.read(TeamRequest)
        team = teams.create(self.tenant, asked["teamId"], asked["name"])
        return Response({"data": team_json(team)}, status=201)


class TeamView(TenantView):
    @extend_schema(
        operation_id="getTeam",
        summary="One team",
        tags=TAGS,
        parameters=[TEAM],
        responses={200: OpenApiResponse(TeamAnswer, "The team."), **tenant_errors(404)},
    )
    def get(self, request: Request, team_id: str) -> Response:
        return Response({"data": team_json(_own(self, team_id))})

    @extend_schema(
        operation_id="updateTeam",
        summary="Rename a team",
        tags=TAGS,
        parameters=[TEAM],
        request=TeamPatch,
        responses={200: OpenApiResponse(TeamAnswer, "The team."), **tenant_errors(404, 413, 415)},
    )
    def patch(self, request: Request, team_id: str) -> Response:
        team = _own(self, team_id)
        team.name = self.read(TeamPatch)["name"]
        team.save(update_fields=["name"])
        return Response({"data": team_json(team)})

    @extend_schema(
        operation_id="deleteTeam",
        summary="Remove a team that never had a wallet",
        tags=TAGS,
        parameters=[TEAM],
        responses={204: OpenApiResponse(description="It is gone."), **tenant_errors(404, 409)},
    )
    def delete(self, request: Request, team_id: str) -> Response:
        teams.delete(_own(self, team_id))
        return Response(status=204)


class MembersView(TenantView):
    @extend_schema(
        operation_id="addTeamMember",
        summary="Put a user into a team",
        tags=TAGS,
        parameters=[TEAM],
        request=MemberRequest,
        responses={200: OpenApiResponse(TeamAnswer, "The team."), **tenant_errors(404, 413, 415)},
    )
    def post(self, request: Request, team_id: str) -> Response:
        """An unknown user is made. Membership is for reading: an event burns the team's wallet where it names the
        team."""
        team = _own(self, team_id)
        teams.add_member(team, self.read(MemberRequest)["userId"])
        return Response({"data": team_json(_own(self, team_id))})


class MemberView(TenantView):
    @extend_schema(
        operation_id="removeTeamMember",
        summary="Take a user out of a team",
        tags=TAGS,
        parameters=[TEAM, USER],
        responses={204: OpenApiResponse(description="Not in it any more."), **tenant_errors(404)},
    )
    def delete(self, request: Request, team_id: str, user_id: str) -> Response:
        if not teams.remove_member(_own(self, team_id), user_id):
            raise NotFound("This user is not in the team.")
        return Response(status=204)


def _teams(view: TenantView) -> QuerySet[Team]:
    return Team.objects.filter(tenant=view.tenant).prefetch_related("members__user")


def _own(view: TenantView, team_id: str) -> Team:
    # A NUL can be in a path, and in no text of PostgreSQL.
    team = None if "\0" in team_id else _teams(view).filter(external_id=team_id).first()
    if team is None:
        raise NotFound("There is no such team.")
    return team
