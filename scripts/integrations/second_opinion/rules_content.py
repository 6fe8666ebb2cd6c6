"""Whether what came is what was published, and the same for everybody."""

from registry import Violation, of_delivery, rule


def fits(story, delivery):
    """Whether a content can be the right one: it has its hash (others' rows may never have had one), and
    what carries our marker carries what we published."""
    foreign = delivery.event is None and delivery.state is None
    published = story.acknowledged.get(delivery.publish)
    marked = delivery.event is not None and delivery.intended is not None
    as_published = not marked or published is None or published["payload"] == delivery.event["payload"]
    return (delivery.content[1] or foreign) and as_published


def only_again(found):
    """Whether only clients got it that had the seq before."""
    return all(delivery.repeat or delivery.redelivered or delivery.overlap for delivery in found)


def right_of(story, contents):
    """The right content of a (topic, seq), and whether there is a doubt. Of those that fit, it is the one
    most often delivered, or else one that somebody got for the first time."""

    def weight(content):
        return len(contents[content]), not only_again(contents[content])

    fitting = [content for content, found in contents.items() if fits(story, found[0])]
    if len(contents) > 1:
        # Without a payload there is nothing to compare.
        fitting = [content for content in fitting if not contents[content][0].is_pointer]
    right = max(fitting, key=lambda content: (weight(content), -content[0]), default=None)
    return right, sum(weight(content) == weight(right) for content in fitting) > 1


def wrong(story):
    """Each wrong content, as its deliveries, and whether another one may be the wrong one instead."""
    for contents in story.contents.values():
        right, doubt = right_of(story, contents)
        for content, found in contents.items():
            if content != right and not found[0].is_pointer:
                yield found, doubt


def violation(found, doubt, why):
    first = min(found, key=lambda delivery: (delivery.at, delivery.client))
    breach = of_delivery(first, why)
    breach.count, breach.doubt = len(found), doubt
    return breach


@rule("divergent_value", "a delivery of a wrong content; listed once a content, by who got it first")
def divergent_value(story):
    """Everybody gets the same content of a (topic, seq), and it is what was published."""
    for found, doubt in wrong(story):
        if not only_again(found):
            yield violation(found, doubt, "another content than the right one")
    for key, record in story.misnamed.items():
        topic, seq = min((topic, seq) for (topic, publish), seq in story.seq_of.items() if publish == key)
        why = f"{key} was acknowledged as event {record['worker_seq']}, which it is not"
        yield Violation(why, record["done"], None, topic, (seq, seq))
    for record in story.misacknowledged:
        yield Violation(f"{record['command']} was acknowledged as {record['why']}", record["at"])


@rule("bad_duplicate", "a delivery of a wrong content; or a seq on which a publish came out again")
def bad_duplicate(story):
    """What comes again has the content that it had, and a publish comes out once on a stream."""
    for found, doubt in wrong(story):
        if only_again(found):
            yield violation(found, doubt, "came again with another content")
    first_seq = {}
    for (topic, seq), contents in sorted(story.contents.items()):
        right, _ = right_of(story, contents)
        if topic not in story.streams or right is None:
            continue
        one = contents[right][0]
        publish = one.publish
        # What others publish is known by its content, which names worker and number.
        if publish is None and topic in story.worker_events and not one.is_pointer:
            publish = ("content", one.content[0])
        if publish is None:
            continue
        first = min(contents[right], key=lambda delivery: (delivery.at, delivery.client))
        before = first_seq.setdefault((topic, publish), seq)
        if before != seq:
            why = f"the publish came out as seq {before} before"
            yield Violation(why, first.at, first.client, topic, (seq, seq))
