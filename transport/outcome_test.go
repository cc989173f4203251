package transport_test

import (
	"testing"
	"time"

	"github.com/panelmail/panelmail/transport"
	"pgregory.net/rapid"
)

// Whatever a transport makes of an outcome, it is in exactly one class.
func TestAnOutcomeIsInExactlyOneClass(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := transport.Outcome{
			Reply: transport.Reply{Code: rapid.OneOf(
				rapid.SampledFrom([]int{0, 250, 354, 421, 451, 550, 554}), rapid.IntRange(-1, 1000)).Draw(t, "code")},
			Final:     rapid.Bool().Draw(t, "final"),
			Hold:      rapid.Bool().Draw(t, "hold"),
			Uncertain: rapid.Bool().Draw(t, "uncertain"),
			Local:     rapid.Bool().Draw(t, "local"),
		}
		classes := 0
		for _, in := range []bool{o.Delivered(), o.Deferred(), o.Failed(), o.Held(), o.NotTried()} {
			if in {
				classes++
			}
		}
		if classes != 1 {
			t.Fatalf("%+v is in %d classes", o, classes)
		}
	})
}

func TestUnknownCodesDefer(t *testing.T) {
	for _, code := range []int{-1, 1, 100, 354, 421, 600, 999} {
		if o := (transport.Outcome{Reply: transport.Reply{Code: code}}); !o.Deferred() {
			t.Errorf("%d does not defer", code)
		}
	}
	if o := (transport.Report{}).At(0); !o.NotTried() {
		t.Errorf("no outcome reads as %+v", o)
	}
}

func TestRepliesPrintOnOneLine(t *testing.T) {
	for want, reply := range map[string]transport.Reply{
		"550 5.7.1 no relay":  transport.Replyf(550, "5.7.1", "no %s", "relay"),
		"421 bye":             transport.Replyf(421, "", "bye"),
		"250 2.0.0 one two":   transport.Replyf(250, "2.0.0", "one\ntwo"),
		"050 odd":             {Code: 50, Text: "odd"},
		"450 4.10.100 digits": {Code: 450, Enhanced: [3]int{4, 10, 100}, Text: "digits"},
	} {
		if got := reply.Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := transport.Replyf(421, "", "bye").Status(); got != "4.0.0" {
		t.Errorf("status %q of a reply without one", got)
	}
}

func TestNotifyIsASet(t *testing.T) {
	for _, test := range []struct {
		n                       transport.Notify
		success, failure, delay bool
	}{
		{0, false, true, true},
		{transport.NotifyNever, false, false, false},
		{transport.NotifySuccess, true, false, false},
		{transport.NotifyFailure | transport.NotifyDelay, false, true, true},
	} {
		if test.n.Success() != test.success || test.n.Failure() != test.failure || test.n.Delay() != test.delay {
			t.Errorf("%04b: %v %v %v", test.n, test.n.Success(), test.n.Failure(), test.n.Delay())
		}
	}
}

func TestAScheduleKeepsItsOwnFieldsAndFillsTheOthers(t *testing.T) {
	base := transport.Schedule{Min: 5 * time.Minute, Max: time.Hour, Lifetime: 24 * time.Hour}
	for _, c := range []struct{ own, want transport.Schedule }{
		{transport.Schedule{}, base},
		{base, base},
		{transport.Schedule{Min: time.Minute}, transport.Schedule{Min: time.Minute, Max: time.Hour, Lifetime: 24 * time.Hour}},
		{transport.Schedule{Min: 2 * time.Hour}, transport.Schedule{Min: 2 * time.Hour, Max: 2 * time.Hour, Lifetime: 24 * time.Hour}},
		{transport.Schedule{Max: time.Minute}, transport.Schedule{Min: time.Minute, Max: time.Minute, Lifetime: 24 * time.Hour}},
		{transport.Schedule{Lifetime: time.Hour}, transport.Schedule{Min: 5 * time.Minute, Max: time.Hour, Lifetime: time.Hour}},
	} {
		if got := c.own.Or(base); got != c.want {
			t.Errorf("%v over %v is %v, want %v", c.own, base, got, c.want)
		}
		if got := c.own.Or(transport.Schedule{}); got != c.own {
			t.Errorf("%v over nothing is %v", c.own, got)
		}
	}
}
