// The books of one camera balance, whatever the bridge says (docs/protocol.md section 4).
#include "outbox.h"

#include "check.h"

using namespace renderlift;
using std::chrono::milliseconds;

namespace {

const Clock::time_point now{};

FramePtr frame(std::int64_t index) {
  auto made = std::make_shared<HeldFrame>();
  made->index = index;
  return made;
}

void publish(Outbox& box, std::int64_t first, std::int64_t last) {
  for (std::int64_t index = first; index <= last; ++index) box.put(frame(index), now);
}

bool balances(const Outbox& box) { return box.published == box.acknowledged + box.dropped + box.unsettled(); }

}  // namespace

TEST(preview_keeps_the_newest_that_waits_and_counts_the_rest) {
  Outbox box("main", Mode::preview);
  publish(box, 0, 2);
  CHECK(box.dropped == 2 && box.unsettled() == 1 && balances(box));
  const Outgoing sent = box.take();
  CHECK(sent.frame->index == 2 && sent.previous == 1);
}

TEST(credit_bounds_what_is_under_way) {
  Outbox box("main", Mode::capture);
  publish(box, 0, 3);
  CHECK(box.is_ready(2, now));
  box.take();
  box.take();
  CHECK(!box.is_ready(2, now));
  box.settle(0);
  CHECK(box.is_ready(2, now) && balances(box));
}

TEST(a_refused_frame_is_dropped_in_preview) {
  Outbox box("main", Mode::preview);
  publish(box, 5, 5);
  box.take();
  box.refuse(5, now);
  box.refuse(5, now);
  CHECK(box.dropped == 1 && box.unsettled() == 0 && balances(box));
}

TEST(after_a_nack_capture_sends_again_in_order_and_ever_later) {
  Outbox box("main", Mode::capture);
  publish(box, 0, 2);
  box.take();
  box.take();
  box.refuse(1, now);
  CHECK(box.is_ready(8, now));  // at once the first time
  CHECK(box.take().frame->index == 0);
  box.refuse(1, now);
  CHECK(!box.is_ready(8, now + milliseconds(49)) && box.is_ready(8, now + milliseconds(50)));
  for (int i = 0; i < 20; ++i) box.refuse(1, now);
  CHECK(!box.is_ready(8, now + milliseconds(1999)) && box.is_ready(8, now + milliseconds(2000)));
  box.settle(0);
  CHECK(box.is_ready(8, now) && box.take().frame->index == 1 && balances(box));
}

TEST(a_new_connection_sends_what_is_not_settled_in_capture_and_drops_it_in_preview) {
  Outbox capture("main", Mode::capture), preview("main", Mode::preview);
  for (Outbox* box : {&capture, &preview}) {
    publish(*box, 0, 0);
    box->take();
    publish(*box, 1, 1);
    box->take();
    box->start_anew(0);
    CHECK(box->acknowledged == 1 && balances(*box));
  }
  CHECK(capture.take().frame->index == 1);
  CHECK(preview.dropped == 1 && !preview.is_ready(8, now));
}

TEST(frames_that_are_durable_already_are_not_sent_again) {
  Outbox box("main", Mode::capture);
  box.start_anew(1);  // an engine that was killed comes back with its session
  publish(box, 0, 2);
  CHECK(box.acknowledged == 2 && box.unsettled() == 1 && balances(box));
  const Outgoing sent = box.take();
  CHECK(sent.frame->index == 2 && sent.previous == 1);
}

TEST(frames_that_the_books_let_go_are_kept_for_whoever_gives_back_the_lock) {
  for (const Mode mode : {Mode::preview, Mode::capture}) {
    Outbox box("main", mode);
    publish(box, 0, 0);
    box.take();
    CHECK(box.take_let_go().empty());
    publish(box, 1, 2);
    box.settle(0);
    const auto let_go = box.take_let_go();  // preview: what was replaced; capture: what has arrived
    CHECK(let_go.size() == 1 && let_go[0]->index == (mode == Mode::preview ? 1 : 0));
    CHECK(box.take_let_go().empty() && balances(box));
  }
}
