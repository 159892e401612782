"""What the system says of a worker's children, while some of its threads end."""

from infra.local.functions.inside.warden import family


def test_the_children_of_all_threads_are_found_though_others_end_meanwhile(tmp_path):
    for thread in range(10, 20):
        (tmp_path / "10/task" / str(thread)).mkdir(parents=True)
    for thread, child in ((10, 21), (15, 22), (19, 23)):
        (tmp_path / f"10/task/{thread}/children").write_text(f"{child} ")
    assert sorted(family(10, tmp_path)) == [10, 21, 22, 23]
