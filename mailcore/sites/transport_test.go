package sites_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/transport"
)

// slow is a transport with every setting.
var slow = transport.Definition{
	Name: "slow", Base: "smtp", Attempts: 3, Limit: 2, InitialConcurrency: 1, Processes: 4, RateDelay: time.Second,
	Rate: 30, RateInterval: time.Minute, FailedCohortLimit: -1, RecipientLimit: 10,
	Schedule:       transport.Schedule{Min: time.Minute, Max: time.Hour, Lifetime: 24 * time.Hour},
	ConnectTimeout: 1500 * time.Millisecond, HELOTimeout: 3 * time.Second, TLS: transport.TLSEncrypt,
}

func TestATransportIsKeptWithAllItsSettings(t *testing.T) {
	ctx := t.Context()
	f := newFile(t)
	s, err := sites.New(ctx, f)
	must(t, err)
	must(t, s.SetTransport(ctx, transport.Definition{Name: "slow", Base: "lmtp"}), s.SetTransport(ctx, slow))
	again, err := sites.New(ctx, f)
	must(t, err)
	list, err := again.ListTransports(ctx)
	must(t, err)
	if diff := cmp.Diff([]transport.Definition{slow}, list); diff != "" {
		t.Error(diff)
	}
	planner := &transport.Planner{Named: s, Routes: s}
	must(t, s.SetRoute(ctx, sites.Route{Pattern: "x.test", Value: "slow:"}))
	plan, err := planner.Plan(ctx, transport.Query{Recipient: "a@x.test"})
	must(t, err)
	if plan.Definition != slow || plan.TLS != transport.TLSEncrypt || plan.Attempts != 3 || plan.Limit != 1 {
		t.Errorf("plan %+v", plan)
	}
	must(t, s.SetTransport(ctx, transport.Definition{Name: "slow", Base: "smtp", Limit: 7}))
	if plan, err = planner.Plan(ctx, transport.Query{Recipient: "a@x.test"}); err != nil || plan.Limit != 7 {
		t.Errorf("after a change: limit %d, %v", plan.Limit, err)
	}
}

func TestWhatIsNamedByRowsStays(t *testing.T) {
	ctx := t.Context()
	s, err := sites.New(ctx, newFile(t))
	must(t, err, s.AddSite(ctx, sites.Site{Name: "a"}))
	must(t, s.AddDomain(ctx, sites.Domain{Name: "a.example", Site: "a", Class: sites.Hosted}))
	must(t, s.SetTransport(ctx, slow), s.SetTransport(ctx, transport.Definition{Name: "oneshot", Base: "smtp", Attempts: 2}))
	must(t, s.SetRoutes(ctx, []sites.Route{
		{Pattern: ".ru", Value: "slow :"}, {Pattern: "x.test", Value: "slow"}, {Pattern: "y.test", Value: "slower:"}, {Pattern: "z.test", Value: "oneshot:"},
	}[:2]), s.SetRoute(ctx, sites.Route{Pattern: "z.test", Value: "oneshot:"}))
	must(t, s.SetMailbox(ctx, sites.Mailbox{Address: "u@a.example", Deliver: "slow:[store.example]"}))
	for _, tt := range []struct {
		what string
		err  error
		is   error
		text string
	}{
		{"one in use", s.RemoveTransport(ctx, "slow"), sites.ErrInUse, `"slow" is in use by route .ru, route x.test, mailbox u@a.example`},
		{"another base for one in use", s.SetTransport(ctx, transport.Definition{Name: "slow", Base: "discard"}), sites.ErrInUse, "route .ru"},
		{"one that is built in again", s.RemoveTransport(ctx, "oneshot"), nil, ""},
		{"one that is built in", s.RemoveTransport(ctx, "smtp"), sites.ErrNotFound, `"smtp"`},
		{"another base for what is built in", s.SetTransport(ctx, transport.Definition{Name: "error", Base: "smtp"}), sites.ErrInvalid, "its base is error"},
		{"a base that is none", s.SetTransport(ctx, transport.Definition{Name: "x", Base: "oneshot"}), sites.ErrInvalid, "made of"},
		{"a name that is none", s.SetTransport(ctx, transport.Definition{Name: "x:y", Base: "smtp"}), sites.ErrInvalid, "no name"},
		{"a setting that is none", s.SetTransport(ctx, transport.Definition{Name: "x", Base: "smtp", Rate: -1}), sites.ErrInvalid, "Rate"},
		{"a route to no transport", s.SetRoute(ctx, sites.Route{Pattern: "y.test", Value: "slower:"}), sites.ErrInvalid, `unknown transport "slower"`},
		{"a route to no next hop", s.SetRoute(ctx, sites.Route{Pattern: "y.test", Value: "lmtp:"}), sites.ErrInvalid, "needs a next hop"},
		{"a route to no port", s.SetRoute(ctx, sites.Route{Pattern: "y.test", Value: "slow:[h]:x"}), sites.ErrInvalid, "no such port"},
		{"good routes and one bad", s.SetRoutes(ctx, []sites.Route{{Pattern: "v.test", Value: "slow:"}, {Pattern: "w.test", Value: "none:"}}), sites.ErrInvalid, `"w.test"`},
	} {
		if !errors.Is(tt.err, tt.is) || !strings.Contains(fmt.Sprint(tt.err), tt.text) {
			t.Errorf("%s: %v, want %v with %s", tt.what, tt.err, tt.is, tt.text)
		}
	}
	routes, err := s.ListRoutes(ctx)
	must(t, err)
	if len(routes) != 3 {
		t.Errorf("routes %v", routes)
	}
	must(t, s.RemoveRoute(ctx, ".ru"), s.RemoveRoute(ctx, "x.test"), s.RemoveMailbox(ctx, "u@a.example"), s.RemoveTransport(ctx, "slow"))
}

func TestRoutesMayNameWhatTheProgramBrings(t *testing.T) {
	ctx := t.Context()
	s, err := sites.New(ctx, newFile(t))
	must(t, err)
	s.KnowTransports(transport.Definitions{"own": {Name: "own", Base: "smtp"}})
	must(t, s.SetRoute(ctx, sites.Route{Pattern: "x.test", Value: "own:"}))
	must(t, s.SetTransport(ctx, transport.Definition{Name: "own", Base: "smtp", Limit: 1}), s.RemoveTransport(ctx, "own"))
	s.KnowTransports(nil)
	if err := s.SetRoute(ctx, sites.Route{Pattern: "x.test", Value: "own:"}); !errors.Is(err, sites.ErrInvalid) {
		t.Error(err)
	}
}
