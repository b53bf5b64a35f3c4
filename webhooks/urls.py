"""Where the webhooks API is."""

from django.urls import path

from webhooks import views

_ONE = "v1/webhooks/subscriptions/<str:subscription_id>"

urlpatterns = [
    path("v1/webhooks/subscriptions", views.SubscriptionsView.as_view()),
    path(_ONE, views.SubscriptionView.as_view()),
    path(f"{_ONE}/rotate", views.RotateView.as_view()),
    path(f"{_ONE}/test", views.TestView.as_view()),
    path(f"{_ONE}/replay", views.ReplayView.as_view()),
    path("v1/webhooks/events", views.EventsView.as_view()),
    path("v1/webhooks/logs", views.LogsView.as_view()),
    path("v1/webhooks/deliveries/<str:delivery_id>/retry", views.RetryView.as_view()),
]
