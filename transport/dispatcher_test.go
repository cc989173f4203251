package transport_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/panelmail/panelmail/transport"
)

// delivery is a first attempt for recipients.
func delivery(recipients ...string) *transport.Delivery {
	d := &transport.Delivery{ID: "Q1", Attempt: 1, Envelope: transport.Envelope{ReversePath: "s@site.test"}}
	for _, r := range recipients {
		d.Envelope.Recipients = append(d.Envelope.Recipients, transport.Recipient{Address: r})
	}
	return d
}

// remote answers every recipient alike and remembers who came together.
type remote struct {
	outcome transport.Outcome

	mu   sync.Mutex
	seen [][]string
}

func (r *remote) Deliver(_ context.Context, d *transport.Delivery) transport.Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	together := []string{d.Plan.Transport + ":" + d.Plan.Nexthop, "<" + d.ReversePath() + ">"}
	for _, to := range d.Envelope.Recipients {
		together = append(together, to.Address)
	}
	r.seen = append(r.seen, together)
	return d.All(r.outcome)
}

func smtp(t transport.Transport) map[string]transport.Transport {
	return map[string]transport.Transport{"smtp": t}
}

var (
	delivered = transport.Outcome{Reply: transport.Replyf(250, "2.0.0", "Ok"), Host: "mx.test"}
	deferred  = transport.Outcome{Reply: transport.Replyf(451, "4.7.1", "Greylisted"), Host: "mx.test"}
	failed    = transport.Outcome{Reply: transport.Replyf(550, "5.1.1", "Who?"), Host: "mx.test"}
)

func TestDispatcherSendsRecipientsWithEqualPlansTogether(t *testing.T) {
	r := &remote{outcome: delivered}
	x := &transport.Dispatcher{
		Planner:    &transport.Planner{Routes: parse(t, "b.test error:5.7.1 no\nc.test relay:[hop]\nd.test relay:[hop]\n")},
		Transports: smtp(r),
	}
	d := delivery("1@a.test", "2@b.test", "3@c.test", "4@A.test", "5@d.test", "6@a.test")
	d.Envelope.Recipients[5].ReversePath = "srs@fwd.test"
	report := x.Deliver(t.Context(), d)

	want := [][]string{
		{"smtp:a.test", "<s@site.test>", "1@a.test", "4@A.test"},
		{"relay:[hop]", "<s@site.test>", "3@c.test", "5@d.test"},
		{"smtp:a.test", "<srs@fwd.test>", "6@a.test"},
	}
	if diff := cmp.Diff(want, r.seen); diff != "" {
		t.Error(diff)
	}
	no := transport.Outcome{Reply: transport.Replyf(550, "5.7.1", "no")}
	if diff := cmp.Diff(transport.Report{delivered, no, delivered, delivered, delivered, delivered}, report); diff != "" {
		t.Error(diff)
	}
}

func TestDispatcherCutsRecipientsToTheTransportsLimit(t *testing.T) {
	r := &remote{outcome: delivered}
	x := &transport.Dispatcher{Transports: smtp(r)}
	var many []string
	for i := range 120 {
		many = append(many, fmt.Sprintf("u%d@a.test", i))
	}
	report := x.Deliver(t.Context(), delivery(many...))
	var sizes []int
	for _, together := range r.seen {
		sizes = append(sizes, len(together)-2)
	}
	if diff := cmp.Diff([]int{50, 50, 20}, sizes); diff != "" {
		t.Error(diff)
	}
	for i, o := range report {
		if !o.Delivered() {
			t.Errorf("recipient %d: %+v", i, o)
		}
	}
}

func TestDispatcherGivesDeferralsTheScheduleOfTheirTransport(t *testing.T) {
	own := transport.Schedule{Min: time.Minute, Max: time.Hour, Lifetime: 24 * time.Hour}
	for _, c := range []struct{ outcome, want transport.Outcome }{
		{deferred, transport.Outcome{Reply: deferred.Reply, Host: deferred.Host, Schedule: own}},
		{delivered, delivered},
		{failed, failed},
	} {
		definitions := transport.Builtin()
		definitions["slow"] = transport.Definition{Name: "slow", Base: "smtp", Schedule: own}
		x := &transport.Dispatcher{
			Planner:    &transport.Planner{Transports: definitions, Routes: parse(t, "a.test slow:\n")},
			Transports: smtp(&remote{outcome: c.outcome}),
		}
		if diff := cmp.Diff(transport.Report{c.want}, x.Deliver(t.Context(), delivery("1@a.test"))); diff != "" {
			t.Error(diff)
		}
	}
}

func TestDispatcherAppliesAttempts(t *testing.T) {
	local, uncertain, short := deferred, deferred, transport.Outcome{}
	local.Local, uncertain.Uncertain = true, true
	silent, lost := transport.Outcome{Uncertain: true}, transport.Outcome{
		Uncertain: true, Reply: transport.Replyf(451, "4.4.2", "connection lost; the message may have been taken")}
	final := func(o transport.Outcome) transport.Outcome { o.Final = true; return o }
	for _, test := range []struct {
		name      string
		transport string
		attempt   int
		outcome   transport.Outcome
		want      transport.Outcome
	}{
		{"oneshot fails with the remote's reply", "oneshot", 1, deferred, final(deferred)},
		{"oneshot fails late, too", "oneshot", 7, deferred, final(deferred)},
		{"oneshot delivers", "oneshot", 1, delivered, delivered},
		{"oneshot leaves failures alone", "oneshot", 1, failed, failed},
		{"oneshot defers for local trouble", "oneshot", 1, local, local},
		{"oneshot was not tried", "oneshot", 1, short, short},
		{"oneshot lost the last reply", "oneshot", 1, uncertain, final(uncertain)},
		{"oneshot lost the last reply and says no more", "oneshot", 1, silent, final(lost)},
		{"thrice defers", "thrice", 2, deferred, deferred},
		{"thrice fails", "thrice", 3, deferred, final(deferred)},
		{"smtp defers for ever", "smtp", 1000, deferred, deferred},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := &transport.Planner{Transports: transport.Builtin(), Default: transport.Route{Transport: test.transport}}
			p.Transports["thrice"] = transport.Definition{Name: "thrice", Base: "smtp", Attempts: 3}
			x := &transport.Dispatcher{Planner: p, Transports: smtp(&remote{outcome: test.outcome})}
			d := delivery("u@a.test")
			d.Attempt = test.attempt
			if diff := cmp.Diff(transport.Report{test.want}, x.Deliver(t.Context(), d)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestInterruptionIsNeverAFailure(t *testing.T) {
	for _, broken := range []transport.Outcome{
		{Reply: transport.Replyf(451, "4.4.2", "interrupted")},
		{Reply: transport.Replyf(451, "4.4.2", "interrupted"), Host: "mx.test", Uncertain: true},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		calls := 0
		x := &transport.Dispatcher{
			Planner: &transport.Planner{Default: transport.Route{Transport: "oneshot"}},
			Transports: smtp(transport.Func(func(_ context.Context, d *transport.Delivery) transport.Report {
				calls++
				cancel()
				return d.All(broken)
			})),
		}
		report := x.Deliver(ctx, delivery("u@a.test", "u@b.test"))
		if !report[0].Deferred() || !report[1].NotTried() || calls != 1 {
			t.Errorf("%d calls, report %+v", calls, report)
		}
		if o := x.Deliver(ctx, delivery("u@a.test"))[0]; !o.NotTried() || calls != 1 {
			t.Errorf("after the end: %+v", o)
		}
	}
}

func TestWhatCannotBePlannedOrCarriedDefersAsOurTrouble(t *testing.T) {
	broken := transport.RouterFunc(func(context.Context, transport.Query) (transport.Route, string, bool, error) {
		return transport.Route{}, "", false, errors.New("SELECT secret FROM t: disk on fire")
	})
	for _, test := range []struct {
		name       string
		dispatcher *transport.Dispatcher
		want, log  string
	}{
		{"unknown transport", &transport.Dispatcher{Planner: &transport.Planner{Routes: routeIs("nowhere:")}},
			`451 4.3.0 address resolver failure: transport: unknown transport "nowhere" (the route)`, "delivery not planned"},
		{"unknown TLS level", &transport.Dispatcher{Planner: &transport.Planner{DefaultTLS: "half-dane"}},
			`451 4.3.0 address resolver failure: tls: TLS level "half-dane" is not known (Planner.DefaultTLS)`, "delivery not planned"},
		{"tables that cannot be read", &transport.Dispatcher{Planner: &transport.Planner{Routes: broken}},
			`451 4.3.0 address resolver failure`, "disk on fire"},
		{"no such base", &transport.Dispatcher{},
			`451 4.3.0 mail transport unavailable: no transport for "smtp"`, "delivery not made"},
		{"a panic", &transport.Dispatcher{Transports: smtp(transport.Func(
			func(context.Context, *transport.Delivery) transport.Report { panic("secret") }))},
			`451 4.3.0 mail transport unavailable: smtp failed unexpectedly`, "dispatcher_test.go"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var log bytes.Buffer
			test.dispatcher.Log = slog.New(slog.NewTextHandler(&log, nil))
			o := test.dispatcher.Deliver(t.Context(), delivery("u@a.test"))[0]
			if !o.Deferred() || !o.Local || o.Reply.Error() != test.want {
				t.Errorf("got %+v, want %s", o, test.want)
			}
			if !strings.Contains(log.String(), test.log) || !strings.Contains(log.String(), "id=Q1") {
				t.Errorf("log %q", log.String())
			}
		})
	}
}

func TestAnAddressThatCannotBeWrittenFails(t *testing.T) {
	o := (&transport.Dispatcher{}).Deliver(t.Context(), delivery("u@b..test"))[0]
	if !o.Failed() || o.Local || o.Reply.Status() != "5.1.3" {
		t.Errorf("got %+v", o)
	}
}

func TestTheReplyOfATableIsTheOutcome(t *testing.T) {
	reply := transport.Replyf(450, "4.7.1", "suspended")
	x := &transport.Dispatcher{Planner: &transport.Planner{Routes: transport.RouterFunc(
		func(context.Context, transport.Query) (transport.Route, string, bool, error) {
			return transport.Route{}, "", false, fmt.Errorf("site: %w", reply)
		})}}
	want := transport.Report{{Reply: reply, Local: true}}
	if diff := cmp.Diff(want, x.Deliver(t.Context(), delivery("u@a.test"))); diff != "" {
		t.Error(diff)
	}
}

// A map refuses a status of the wrong class; what comes in another way keeps the
// class of the transport.
func TestAStatusOfTheWrongClassIsNotBelieved(t *testing.T) {
	x := &transport.Dispatcher{Planner: &transport.Planner{Default: transport.Route{Transport: "error", Nexthop: "4.7.1 no"}}}
	want := transport.Report{{Reply: transport.Replyf(550, "5.0.0", "no")}}
	if diff := cmp.Diff(want, x.Deliver(t.Context(), delivery("u@a.test"))); diff != "" {
		t.Error(diff)
	}
}

func TestAFullLaneHandsBackUntried(t *testing.T) {
	for _, test := range []struct {
		name    string
		planner *transport.Planner
		limit   int
	}{
		{"the default", nil, 5},
		{"the planner's limit", &transport.Planner{Limit: 3}, 3},
		{"the transport's limit", &transport.Planner{Limit: 3, Default: transport.Route{Transport: "relaylim"}}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				proceed := make(chan struct{})
				x := &transport.Dispatcher{Planner: test.planner, Transports: smtp(transport.Func(
					func(_ context.Context, d *transport.Delivery) transport.Report {
						<-proceed
						return d.All(delivered)
					}))}
				for range test.limit {
					d := delivery("u@a.test")
					d.Label = "/a.test"
					go x.Deliver(t.Context(), d)
				}
				synctest.Wait()
				if room := x.Room("/a.test").Free; room != 0 {
					t.Errorf("room for %d in a full lane", room)
				}
				o := x.Deliver(t.Context(), delivery("u@a.test", "v@a.test"))
				want := transport.Outcome{RetryAfter: time.Second}
				if diff := cmp.Diff(transport.Report{want, want}, o); diff != "" {
					t.Error(diff)
				}
				close(proceed)
				synctest.Wait()
				if room := x.Room("/a.test").Free; room < test.limit {
					t.Errorf("room for %d in an empty lane, want %d", room, test.limit)
				}
			})
		})
	}
}

// relaylim is one delivery at a time for each destination whatever the source,
// and two destinations do not wait for each other.
func TestATransportsOwnLimitCountsOverAllSources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		proceed := make(chan struct{})
		var busy atomic.Int32
		x := &transport.Dispatcher{
			Planner: &transport.Planner{
				Sources: transport.SourcerFunc(bySite),
				Routes:  parse(t, "a.test relaylim:\nb.test relaylim:\n"),
			},
			Transports: smtp(transport.Func(func(_ context.Context, d *transport.Delivery) transport.Report {
				busy.Add(1)
				<-proceed
				return d.All(delivered)
			})),
		}
		from := func(site, recipient string) {
			d := delivery(recipient)
			d.Origin.Site = site
			x.Deliver(t.Context(), d)
		}
		for _, site := range []string{"one", "two"} {
			for _, recipient := range []string{"u@a.test", "u@b.test", "u@c.test", "v@c.test"} {
				go from(site, recipient)
			}
		}
		synctest.Wait()
		if got := busy.Load(); got != 1+1+4 {
			t.Errorf("%d at once, want one to a.test, one to b.test and four to c.test", got)
		}
		close(proceed)
	})
}

func TestAnswersNeedNoTransportAndNoRoom(t *testing.T) {
	x := &transport.Dispatcher{Planner: &transport.Planner{Routes: parse(t, `
err.test    error:Bad domain!
err2.test   error:
err3.test   error:5.7.1 Not here
err4.test   error:5.7.1
retry.test  retry:
retry2.test retry:4.7.9 later please
disc.test   discard:silently
disc2.test  discard:
hold.test   hold:5.0.0 is no status here
hold2.test  hold:
`)}}
	for domain, want := range map[string]transport.Outcome{
		"err.test":    {Reply: transport.Replyf(550, "5.0.0", "Bad domain!")},
		"err2.test":   {Reply: transport.Replyf(550, "5.0.0", "Address is undeliverable")},
		"err3.test":   {Reply: transport.Replyf(550, "5.7.1", "Not here")},
		"err4.test":   {Reply: transport.Replyf(550, "5.7.1", "Address is undeliverable")},
		"retry.test":  {Reply: transport.Replyf(450, "4.0.0", "Address is undeliverable")},
		"retry2.test": {Reply: transport.Replyf(450, "4.7.9", "later please")},
		"disc.test":   {Reply: transport.Replyf(250, "2.0.0", "silently"), Mailbox: true},
		"disc2.test":  {Reply: transport.Replyf(250, "2.0.0", "discarded"), Mailbox: true},
		"hold.test":   {Reply: transport.Reply{Text: "5.0.0 is no status here"}, Hold: true},
		"hold2.test":  {Reply: transport.Reply{Text: "held by the transport map"}, Hold: true},
	} {
		got := x.Deliver(t.Context(), delivery("u@"+domain))[0]
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s:\n%s", domain, diff)
		}
	}
}

func TestAShortReportIsNotTried(t *testing.T) {
	x := &transport.Dispatcher{Transports: smtp(transport.Func(
		func(context.Context, *transport.Delivery) transport.Report { return transport.Report{delivered} }))}
	got := x.Deliver(t.Context(), delivery("u@a.test", "v@a.test"))
	if diff := cmp.Diff(transport.Report{delivered, {}}, got); diff != "" {
		t.Error(diff)
	}
}

func TestDispatcherLeavesTheDeliveryAlone(t *testing.T) {
	x := &transport.Dispatcher{Transports: smtp(&remote{outcome: delivered})}
	d, was := delivery("u@a.test", "u@b.test"), delivery("u@a.test", "u@b.test")
	x.Deliver(t.Context(), d)
	if diff := cmp.Diff(was, d, cmpopts.EquateComparable(transport.Source{})); diff != "" {
		t.Error(diff)
	}
}

func TestDispatcherIsUsedByManyAtOnce(t *testing.T) {
	x := &transport.Dispatcher{Planner: &transport.Planner{Limit: 2}, Transports: smtp(&remote{outcome: delivered})}
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for range 100 {
				d := delivery("u@a.test", fmt.Sprintf("u@%d.test", i))
				d.Label = "/a.test"
				for _, o := range x.Deliver(t.Context(), d) {
					if !o.Delivered() && !o.NotTried() {
						t.Errorf("got %+v", o)
					}
				}
				x.Room(d.Label)
			}
		})
	}
	wg.Wait()
	if room := x.Room("/a.test").Free; room != 2 {
		t.Errorf("room for %d when all is over, want 2", room)
	}
}

func TestLabelsAreForgottenInTime(t *testing.T) {
	x := &transport.Dispatcher{Planner: &transport.Planner{Limit: 20, Default: transport.Route{Transport: "relaylim"}}, Transports: smtp(&remote{outcome: delivered})}
	seen := func(label string) {
		d := delivery("u@a.test")
		d.Label = label
		x.Deliver(t.Context(), d)
	}
	seen("often")
	seen("once")
	for i := range 3 * 4096 {
		seen(fmt.Sprint(i))
		if x.Room("often").Free != 1 {
			t.Fatalf("a label in use is forgotten after %d others", i)
		}
	}
	if x.Room("once").Free != 5 {
		t.Error("a label long out of use is still known")
	}
}
