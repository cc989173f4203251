package transporttest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/transport"
	"github.com/panelmail/panelmail/transport/transporttest"
)

func TestGoodTransportsPass(t *testing.T) {
	for name, x := range map[string]transport.Transport{
		"recorder":   &transporttest.Recorder{},
		"dispatcher": &transport.Dispatcher{Transports: map[string]transport.Transport{"smtp": &transporttest.Recorder{}}},
		"nothing":    transport.Func(func(context.Context, *transport.Delivery) transport.Report { return nil }),
	} {
		if err := transporttest.Test(x, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, route := range []string{"error", "retry", "discard", "hold"} {
		x := &transport.Dispatcher{Planner: &transport.Planner{Default: transport.Route{Transport: route}}}
		if err := transporttest.Test(x, nil); err != nil {
			t.Errorf("%s: %v", route, err)
		}
	}
}

func TestEveryViolationIsFound(t *testing.T) {
	ok := transport.Outcome{Reply: transport.Replyf(250, "2.0.0", "Ok")}
	answer := func(o transport.Outcome) transport.Func {
		return func(_ context.Context, d *transport.Delivery) transport.Report { return d.All(o) }
	}
	for _, test := range []struct {
		name string
		t    transport.Transport
		want string
	}{
		{"too many outcomes", transport.Func(func(_ context.Context, d *transport.Delivery) transport.Report {
			return append(d.All(ok), ok)
		}), "one recipient: 2 outcomes for 1 recipients"},
		{"a strange code", answer(transport.Outcome{Reply: transport.Reply{Code: 354}}), "code 354"},
		{"a strange status", answer(transport.Outcome{Reply: transport.Replyf(250, "5.0.0", "Ok")}), "status of another class"},
		{"controls", answer(transport.Outcome{Reply: transport.Replyf(550, "", "a\r\nb")}), "controls"},
		{"a negative delay", answer(transport.Outcome{Reply: transport.Replyf(450, "", "x"), RetryAfter: -1}), "RetryAfter"},
		{"a changed delivery", transport.Func(func(_ context.Context, d *transport.Delivery) transport.Report {
			d.Envelope.Recipients[0].Address = "changed"
			return d.All(ok)
		}), "three recipients: the delivery was changed"},
		{"an open reader", transport.Func(func(ctx context.Context, d *transport.Delivery) transport.Report {
			if r, err := d.Open(ctx); err == nil {
				_, _ = io.Copy(io.Discard, r)
				return d.All(ok)
			}
			return nil
		}), "1 readers of the content are still open"},
		{"content that was never sent", transport.Func(func(ctx context.Context, d *transport.Delivery) transport.Report {
			if r, err := d.Open(ctx); err == nil {
				defer r.Close()
			}
			return d.All(ok)
		}), "content that cannot be opened: recipient 0: 250 2.0.0 Ok, want a deferral"},
		{"a failure for being interrupted", transport.Func(func(ctx context.Context, d *transport.Delivery) transport.Report {
			if ctx.Err() != nil {
				return d.All(transport.Outcome{Reply: transport.Replyf(550, "", "x"), Host: "h"})
			}
			return nil
		}), "a context that is done: failed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := transporttest.Test(test.t, nil); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q in it", err, test.want)
			}
		})
	}
}

func TestRecorderRemembersAndAnswers(t *testing.T) {
	no := transport.Outcome{Reply: transport.Replyf(550, "5.1.1", "Who?")}
	x := &transporttest.Recorder{Answer: func(_ *transport.Delivery, r transport.Recipient) transport.Outcome {
		if r.Address == "no@a.test" {
			return no
		}
		return transport.Outcome{}
	}}
	content := &transporttest.Content{Text: "Subject: x\r\n\r\n"}
	report := x.Deliver(t.Context(), transporttest.Delivery(content, "no@a.test", "yes@a.test"))
	if diff := cmp.Diff(transport.Report{no, {}}, report); diff != "" {
		t.Error(diff)
	}
	content.Err = errors.New("disk on fire")
	if o := x.Deliver(t.Context(), transporttest.Delivery(content, "u@a.test"))[0]; !o.Deferred() || !o.Local {
		t.Errorf("unreadable content: %+v", o)
	}
	seen := x.Attempts()
	if len(seen) != 1 || seen[0].Content != content.Text || len(seen[0].Delivery.Envelope.Recipients) != 2 {
		t.Errorf("seen %+v", seen)
	}
}

func ExampleTest() {
	void := transport.Func(func(_ context.Context, d *transport.Delivery) transport.Report {
		return d.All(transport.Outcome{Reply: transport.Replyf(250, "2.0.0", "gone")})
	})
	fmt.Println(transporttest.Test(void, nil))
	// Output: <nil>
}
