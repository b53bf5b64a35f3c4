"""Processor time that a server and its database have used."""

import os
from pathlib import Path


def cpu_of(pid):
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cpu_of_database():
    """Seconds of CPU of the backends of this database; 0 where PostgreSQL runs on another machine."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pid FROM pg_stat_activity WHERE datname = current_database()")
        pids = [pid for (pid,) in cursor.fetchall() if pid != connection.connection.info.backend_pid]
    return sum(cpu_of(pid) for pid in pids if Path(f"/proc/{pid}").exists())
