package transport_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/transport"
)

func TestOnlyRoutesThatReturnOrDeferAreRefusals(t *testing.T) {
	p := transport.Planner{Transports: transport.Builtin()}
	p.Transports["closed"] = transport.Definition{Name: "closed", Base: "error"}
	for _, row := range []struct {
		value string
		want  string // "" is no refusal
	}{
		{"error:Bad domain!", "550 5.1.1 Bad domain!"},
		{"error:5.7.1 Not here", "550 5.7.1 Not here"},
		{"error:5.7.1", "550 5.7.1 Address is undeliverable"},
		{"error:", "550 5.1.1 Address is undeliverable"},
		{"error:5.7.1x Not here", "550 5.1.1 5.7.1x Not here"},
		{"closed:5.2.1 gone", "550 5.2.1 gone"},
		{"closed:4.2.1 gone", "550 5.1.1 4.2.1 gone"},
		{"retry:", "450 4.1.1 Address is undeliverable"},
		{"retry:4.7.9 later please", "450 4.7.9 later please"},
		{"discard:", ""},
		{"hold:", ""},
		{"smtp:error", ""},
		{"unknown:", ""},
		{":", ""},
	} {
		r, err := transport.ParseRoute(row.value)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := p.Refusal(t.Context(), r)
		text := ""
		if ok {
			text = got.Error()
		}
		if text != row.want {
			t.Errorf("%s: %q, want %q", row.value, text, row.want)
		}
	}
}

func TestWhatHasNoDomainIsCompletedWithTheHostname(t *testing.T) {
	table := parse(t, "mailer-daemon@mx.test a:\npostmaster@mx.test b:\nmx.test c:\n")
	defs := transport.Definitions{}
	for _, name := range []string{"a", "b", "c"} {
		defs[name] = transport.Definition{Name: name, Base: "smtp"}
	}
	for recipient, want := range map[string]string{"": "a mx.test", "postmaster": "b mx.test", "u": "c mx.test"} {
		p := transport.Planner{Hostname: "mx.test", Routes: table, Transports: defs}
		plan, err := p.Plan(t.Context(), transport.Query{Recipient: recipient})
		if diff := cmp.Diff(want, plan.Transport+" "+plan.Nexthop); diff != "" || err != nil {
			t.Errorf("%q: %v\n%s", recipient, err, diff)
		}
		p.Hostname = ""
		if plan, err := p.Plan(t.Context(), transport.Query{Recipient: recipient}); err == nil {
			t.Errorf("%q without a host name: %+v", recipient, plan)
		}
	}
}
