from service.storage import open_storage
from tests.benchmarks.slow_bucket import reached_at, slow_bucket


def test_requests_through_the_proxy_bring_what_the_server_holds() -> None:
    with slow_bucket(0.01) as (server, proxy):
        with reached_at(server):
            open_storage("gs://leads-test").create("leads", bytes(3_000_000))
        with reached_at(proxy):
            afar = open_storage("gs://leads-test")
        stored = afar.read("leads")
    assert stored is not None
    assert stored.data == bytes(3_000_000)
