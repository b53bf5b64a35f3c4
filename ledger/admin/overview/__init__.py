"""The first page of the operators' site: what is still to do, and how the business goes."""

from ledger.admin.overview.page import first_page, payers_part

__all__ = ["first_page", "payers_part"]
