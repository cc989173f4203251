package queue_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

// The replies are of the kind that servers at large give.
func TestARepliesReasonIsToldFromItsStatusAndWords(t *testing.T) {
	for _, c := range []struct {
		reply transport.Reply
		want  queue.Deferral
	}{
		{transport.Replyf(450, "4.2.0", "<b@x.test>: Recipient address rejected: Greylisted, see http://x.test/help"), queue.Greylisting},
		{transport.Replyf(451, "4.7.1", "Greylisting in action, please come back in 00:05:00"), queue.Greylisting},
		{transport.Replyf(451, "", "temporarily GREY\nlisted"), queue.Greylisting},
		{transport.Replyf(451, "4.7.1", "Try again later"), queue.Greylisting},
		{transport.Replyf(451, "4.3.0", "Try again later"), ""},
		{transport.Replyf(452, "4.2.2", "The email account that you tried to reach is over its storage"), queue.Quota},
		{transport.Replyf(452, "", "mailbox full"), queue.Quota},
		{transport.Replyf(552, "", "user is over quota"), queue.Quota},
		{transport.Replyf(452, "4.3.1", "Insufficient system storage"), ""},
		{transport.Replyf(421, "4.7.0", "Messages from 192.0.2.1 temporarily deferred due to user complaints"), queue.Policy},
		{transport.Replyf(451, "4.7.1", "Rate limit exceeded, try again later"), queue.Policy},
		{transport.Replyf(451, "4.7.500", "Server busy. Please try again later from [192.0.2.1]"), queue.Policy},
		{transport.Replyf(450, "4.7.25", "cannot find your reverse hostname"), queue.Policy},
		{transport.Replyf(454, "4.7.5", "certificate trouble"), ""},
		{transport.Replyf(450, "", "too many connections"), queue.Policy},
		{transport.Reply{}, ""},
	} {
		if got := queue.DeferralOf(c.reply); got != c.want {
			t.Errorf("%v: %q, want %q", c.reply, got, c.want)
		}
	}
}

func TestDefaultSchedulesStayWithinTheBounds(t *testing.T) {
	if diff := cmp.Diff(map[queue.Deferral]transport.Schedule{
		queue.Greylisting: {Min: 6 * time.Minute, Max: time.Hour},
		queue.Quota:       {Min: time.Hour, Max: 4 * time.Hour},
		queue.Policy:      {Min: 15 * time.Minute, Max: 4 * time.Hour},
	}, queue.DefaultSchedules(5*time.Minute, 4*time.Hour)); diff != "" {
		t.Error(diff)
	}
	for _, bounds := range [][2]time.Duration{{time.Second, 2 * time.Second}, {time.Second, time.Second}, {8 * time.Hour, 9 * time.Hour}} {
		for reason, s := range queue.DefaultSchedules(bounds[0], bounds[1]) {
			if s.Min < bounds[0] || s.Max > bounds[1] || s.Min > s.Max {
				t.Errorf("%s between %v: %v", reason, bounds, s)
			}
		}
	}
}
