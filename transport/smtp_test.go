package transport_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/transport"
)

var pipelining = []string{"PIPELINING", "8BITMIME", "SIZE 1000", "DSN"}

func TestSMTPSaysWhatTheEnvelopeHolds(t *testing.T) {
	l := newLab(t)
	x := l.at(t, "192.0.2.1", &exchanger{offers: pipelining})
	d := mail("b@x.test", `"odd> X"@x.test`)
	d.Envelope.Body = transport.Body8BitMIME
	d.Envelope.Ret = transport.RetHdrs
	d.Envelope.EnvID = "id+1"
	d.Envelope.Recipients[0].ORcpt = "rfc822;o=b@y.test"
	d.Envelope.Recipients[0].Notify = transport.NotifyFailure | transport.NotifyDelay
	report := l.Deliver(context.Background(), d)
	for i, o := range report {
		if want := "delivered 250 2.0.0 taken by mx.x.test"; short(o) != want {
			t.Errorf("recipient %d: %s, want %s", i, short(o), want)
		}
		if o.Addr != "192.0.2.1:25" || !strings.HasSuffix(o.Transcript, "S: 250 2.0.0 taken\n") {
			t.Errorf("recipient %d: %+v", i, o)
		}
	}
	want := []visit{{
		From: netip.MustParseAddr("127.0.0.1"),
		Commands: []string{
			"EHLO us.test",
			"MAIL FROM:<s@site.test> SIZE=21 BODY=8BITMIME RET=HDRS ENVID=id+2B1",
			"RCPT TO:<b@x.test> NOTIFY=FAILURE,DELAY ORCPT=rfc822;o+3Db@y.test",
			`RCPT TO:<"odd> X"@x.test>`,
			"DATA",
		},
		Contents: []string{message},
	}}
	if diff := cmp.Diff(want, x.seen(), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}

// Whoever passes a request for a report on must not answer it, and whoever cannot
// must (RFC 3461 sections 5.2.1 and 5.2.2).
func TestSMTPTellsWhetherItPassedARequestForAReportOn(t *testing.T) {
	for _, c := range []struct {
		offers []string
		passed bool
	}{{pipelining, true}, {[]string{"PIPELINING"}, false}} {
		l := newLab(t)
		x := l.at(t, "192.0.2.1", &exchanger{offers: c.offers, answer: on("RCPT TO:<no@x.test>", "550 5.1.1 who?")})
		d := mail("b@x.test", "no@x.test")
		d.Envelope.Recipients[0].Notify = transport.NotifySuccess
		report := l.Deliver(context.Background(), d)
		if got := report[0]; !got.Delivered() || got.PassedOn != c.passed || report[1].PassedOn {
			t.Errorf("a host that offers %v: %+v", c.offers, report)
		}
		if said := strings.Contains(strings.Join(x.seen()[0].Commands, "\n"), "NOTIFY=SUCCESS"); said != c.passed {
			t.Errorf("a host that offers %v was told: %v", c.offers, said)
		}
	}
}

func TestSMTPTakesEachReplyForItsRecipient(t *testing.T) {
	l := newLab(t)
	l.zone.mx["x.test"] = []transport.MX{{Preference: 20, Host: "second.x.test"}, {Preference: 10, Host: "mx.x.test"}}
	l.zone.addrs["second.x.test"] = []string{"192.0.2.2"}
	first := func(line string) string {
		switch {
		case strings.Contains(line, "<no@"):
			return "550 5.1.1 who?"
		case strings.Contains(line, "<later@"), strings.Contains(line, "<much@"):
			return "450 4.2.0 greylisted"
		}
		return ""
	}
	second := func(line string) string {
		if strings.Contains(line, "<much@") {
			return "451 4.7.1 later still"
		}
		return ""
	}
	l.at(t, "192.0.2.1", &exchanger{offers: pipelining, answer: first})
	x := l.at(t, "192.0.2.2", &exchanger{offers: pipelining, answer: second})
	got := l.deliver(mail("yes@x.test", "no@x.test", "later@x.test", "much@x.test"))
	want := []string{
		"delivered 250 2.0.0 taken by mx.x.test",
		"failed 550 5.1.1 who? by mx.x.test",
		"delivered 250 2.0.0 taken by second.x.test",
		"deferred 451 4.7.1 later still by second.x.test",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if n := len(x.seen()); n != 1 {
		t.Errorf("%d visits to the second", n)
	}
}

// on makes an exchanger answer one command.
func on(verb, reply string) func(string) string {
	return func(line string) string {
		if strings.HasPrefix(line, verb) {
			return reply
		}
		return ""
	}
}

func TestSMTPGoesOnToTheNextHostOrNot(t *testing.T) {
	tests := map[string]struct {
		first *exchanger // nil: nobody listens
		want  string
		next  bool // the second host is asked
	}{
		"connection refused":    {nil, "delivered 250 2.0.0 taken by second.x.test", true},
		"greeting 554":          {&exchanger{greeting: "554 5.7.1 no"}, "delivered 250 2.0.0 taken by second.x.test", true},
		"greeting is HTTP":      {&exchanger{greeting: "HTTP/1.1 400 Bad"}, "delivered 250 2.0.0 taken by second.x.test", true},
		"EHLO and HELO refused": {&exchanger{answer: func(string) string { return "550 no" }}, "delivered 250 2.0.0 taken by second.x.test", true},
		"421 at MAIL":           {&exchanger{answer: on("MAIL", "421 busy")}, "delivered 250 2.0.0 taken by second.x.test", true},
		"450 at MAIL":           {&exchanger{answer: on("MAIL", "450 no")}, "delivered 250 2.0.0 taken by second.x.test", true},
		"closed at MAIL":        {&exchanger{answer: on("MAIL", "close")}, "delivered 250 2.0.0 taken by second.x.test", true},
		"451 at DATA":           {&exchanger{answer: on("DATA", "451 no")}, "delivered 250 2.0.0 taken by second.x.test", true},
		"451 at the dot":        {&exchanger{answer: on(".", "451 no")}, "delivered 250 2.0.0 taken by second.x.test", true},
		"code 999 at RCPT":      {&exchanger{answer: on("RCPT", "999 no")}, "delivered 250 2.0.0 taken by second.x.test", true},
		"a stray reply":         {&exchanger{answer: on("MAIL", "250 ok\r\n250 stray")}, "delivered 250 2.0.0 taken by second.x.test", true},
		"550 at MAIL":           {&exchanger{answer: on("MAIL", "550 5.7.1 no")}, "failed 550 5.7.1 no by mx.x.test", false},
		"550 at RCPT":           {&exchanger{answer: on("RCPT", "550 5.1.1 no")}, "failed 550 5.1.1 no by mx.x.test", false},
		"550 at DATA":           {&exchanger{answer: on("DATA", "550 no")}, "failed 550 no by mx.x.test", false},
		"552 at the dot":        {&exchanger{answer: on(".", "552 no")}, "failed 552 no by mx.x.test", false},
		"too large for it":      {&exchanger{offers: []string{"SIZE 20"}}, "failed 552 5.3.4 message of 21 octets is over the limit of 20 that the next hop declares", false},
		"closed after the dot":  {&exchanger{answer: on(".", "close")}, "deferred 451 4.4.2 lost connection with mx.x.test[192.0.2.1] at end of data: closed by the other side, uncertain", false},
		"garbage after the dot": {&exchanger{answer: on(".", "999 no")}, `deferred 451 4.5.0 host mx.x.test[192.0.2.1] at end of data: protocol error: not a reply: "999 no", uncertain`, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.zone.mx["x.test"] = []transport.MX{{Preference: 10, Host: "mx.x.test"}, {Preference: 20, Host: "second.x.test"}}
			l.zone.addrs["second.x.test"] = []string{"192.0.2.2"}
			if test.first != nil {
				l.at(t, "192.0.2.1", test.first)
			}
			second := l.at(t, "192.0.2.2", &exchanger{offers: pipelining})
			if diff := cmp.Diff([]string{test.want}, l.deliver(mail("b@x.test"))); diff != "" {
				t.Error(diff)
			}
			if next := len(second.seen()) > 0; next != test.next {
				t.Errorf("second host asked: %v", next)
			}
		})
	}
}

func TestSMTPTellsWhyNobodyTookTheMail(t *testing.T) {
	tests := map[string]struct {
		x    *exchanger
		want string
	}{
		"nobody listens": {nil, "deferred 451 4.4.1 connect to mx.x.test[192.0.2.1]:25: connection refused, destination"},
		"greeting 554": {&exchanger{greeting: "554 5.7.1 go away"},
			"deferred 451 4.7.1 host mx.x.test[192.0.2.1] refused to talk to me: 554 5.7.1 go away by mx.x.test, destination"},
		"greeting 421": {&exchanger{greeting: "421 busy"},
			"deferred 451 host mx.x.test[192.0.2.1] refused to talk to me: 421 busy by mx.x.test, destination"},
		"closes at once": {&exchanger{answer: on("EHLO", "close")},
			"deferred 451 4.4.2 lost connection with mx.x.test[192.0.2.1] at EHLO: closed by the other side, destination"},
		"greylisting": {&exchanger{answer: on("RCPT", "451 4.7.1 wait")}, "deferred 451 4.7.1 wait by mx.x.test"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			if test.x != nil {
				l.at(t, "192.0.2.1", test.x)
			}
			if diff := cmp.Diff([]string{test.want}, l.deliver(mail("b@x.test"))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSMTPKeepsWhatAHostSaidOverOneThatCannotBeReached(t *testing.T) {
	l := newLab(t)
	l.zone.mx["x.test"] = []transport.MX{{Preference: 10, Host: "mx.x.test"}, {Preference: 20, Host: "second.x.test"}}
	l.zone.addrs["second.x.test"] = []string{"192.0.2.2"}
	l.at(t, "192.0.2.1", &exchanger{answer: on("RCPT", "451 4.7.1 wait")})
	if diff := cmp.Diff([]string{"deferred 451 4.7.1 wait by mx.x.test"}, l.deliver(mail("b@x.test"))); diff != "" {
		t.Error(diff)
	}
}

// The first host had a session, so that the destination as a whole is well, whatever
// the second says.
func TestSMTPADestinationOfWhichOneHostIsReachedIsNotToBlame(t *testing.T) {
	for name, test := range map[string]struct {
		first, second *exchanger
		want          string
	}{
		"the second refuses the session": {&exchanger{answer: on("RCPT", "451 4.7.1 wait")}, &exchanger{greeting: "554 no"},
			"deferred 451 host second.x.test[192.0.2.2] refused to talk to me: 554 no by second.x.test"},
		"the first does": {&exchanger{greeting: "554 no"}, &exchanger{answer: on("RCPT", "451 4.7.1 wait")},
			"deferred 451 4.7.1 wait by second.x.test"},
		"both do": {&exchanger{greeting: "554 no"}, &exchanger{greeting: "554 no"},
			"deferred 451 host second.x.test[192.0.2.2] refused to talk to me: 554 no by second.x.test, destination"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.zone.mx["x.test"] = []transport.MX{{Preference: 10, Host: "mx.x.test"}, {Preference: 20, Host: "second.x.test"}}
			l.zone.addrs["second.x.test"] = []string{"192.0.2.2"}
			l.at(t, "192.0.2.1", test.first)
			l.at(t, "192.0.2.2", test.second)
			if diff := cmp.Diff([]string{test.want}, l.deliver(mail("b@x.test"))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSMTPLimitsAddressesAndSessions(t *testing.T) {
	l := newLab(t)
	dead := 0
	l.Network = transport.NetworkFunc(func(ctx context.Context, local netip.Addr, remote netip.AddrPort) (net.Conn, error) {
		dead++
		return l.net.Dial(ctx, local, remote)
	})
	l.zone.addrs["mx.x.test"] = []string{
		"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5", "192.0.2.6", "192.0.2.7",
	}
	l.deliver(mail("b@x.test"))
	if dead != 5 {
		t.Errorf("%d addresses tried, want 5", dead)
	}
	dead = 0
	for _, a := range l.zone.addrs["mx.x.test"] {
		l.at(t, a, &exchanger{answer: on("RCPT", "450 no")})
	}
	l.deliver(mail("b@x.test"))
	if dead != 2 {
		t.Errorf("%d sessions, want 2", dead)
	}
}

func TestSMTPSendsFromThePlansSourceOrNotAtAll(t *testing.T) {
	seven, six := netip.MustParseAddr("127.0.0.7"), netip.MustParseAddr("2001:db8::7")
	tests := map[string]struct {
		source transport.Source
		local  []netip.Addr // on the machine
		want   string
		from   netip.Addr
	}{
		"an address of ours":  {transport.Source{IPv4: seven, HELO: "seven.test"}, []netip.Addr{seven}, "delivered 250 2.0.0 taken by mx.x.test", seven},
		"one that is missing": {transport.Source{IPv4: seven}, nil, "deferred 451 4.4.0 source address 127.0.0.7 is not on this machine, local", netip.Addr{}},
		"the other family":    {transport.Source{Name: "six", IPv6: six}, []netip.Addr{six}, "deferred 451 4.4.0 x.test has no address of the family that source six sends from, local", netip.Addr{}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.net.AddLocal(test.local...)
			x := l.at(t, "192.0.2.1", &exchanger{})
			d := mail("b@x.test")
			d.Plan.Source = test.source
			if diff := cmp.Diff([]string{test.want}, l.deliver(d)); diff != "" {
				t.Error(diff)
			}
			switch {
			case !test.from.IsValid() && len(x.seen()) > 0:
				t.Error("something left from elsewhere")
			case test.from.IsValid() && (x.seen()[0].From != test.from || x.seen()[0].Commands[0] != "EHLO seven.test"):
				t.Errorf("from %v as %s", x.seen()[0].From, x.seen()[0].Commands[0])
			}
		})
	}
}

func TestSMTPNeverMixesFamiliesForABoundSource(t *testing.T) {
	l := newLab(t)
	seven := netip.MustParseAddr("127.0.0.7")
	l.net.AddLocal(seven)
	l.zone.addrs["mx.x.test"] = []string{"2001:db8::1", "192.0.2.1"}
	six := l.at(t, "2001:db8::1", &exchanger{})
	l.at(t, "192.0.2.1", &exchanger{answer: on("MAIL", "450 no")})
	d := mail("b@x.test")
	d.Plan.Source = transport.Source{IPv4: seven}
	if diff := cmp.Diff([]string{"deferred 450 no by mx.x.test"}, l.deliver(d)); diff != "" {
		t.Error(diff)
	}
	if len(six.seen()) > 0 {
		t.Error("IPv6 was used")
	}
}

func TestSMTPRefusesPlansItCannotKeep(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*transport.Delivery, *lab)
		want   string
	}{
		"unknown level": {func(d *transport.Delivery, _ *lab) { d.Plan.TLS = "half-dane" }, `deferred 451 4.7.5 client TLS configuration problem: TLS level "half-dane" is not known, local`},
		"no level":      {func(d *transport.Delivery, _ *lab) { d.Plan.TLS = "" }, `deferred 451 4.7.5 client TLS configuration problem: TLS level "" is not known, local`},
		"no next hop":   {func(d *transport.Delivery, _ *lab) { d.Plan.Nexthop = " , " }, "deferred 451 4.3.5 the next hop is empty, local"},
		"bad next hop":  {func(d *transport.Delivery, _ *lab) { d.Plan.Nexthop = "[x.test]:0" }, `deferred 451 4.3.5 next hop "[x.test]:0": no such port: "0", local`},
		"no name":       {func(_ *transport.Delivery, l *lab) { l.Hostname = "" }, "deferred 451 4.3.5 no name to say in EHLO is configured, local"},
		"REQUIRETLS":    {func(d *transport.Delivery, _ *lab) { d.Envelope.RequireTLS, d.Plan.TLS = true, "none" }, "failed 550 5.7.30 REQUIRETLS needs a verified peer, and level none verifies none"},
		"bad terms":     {func(d *transport.Delivery, _ *lab) { d.Plan.TLSTerms.Match = "x.test" }, `deferred 451 4.7.5 client TLS configuration problem: level may has no use for attribute "match", local`},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			x := l.at(t, "192.0.2.1", &exchanger{})
			d := mail("b@x.test")
			test.change(d, l)
			if diff := cmp.Diff([]string{test.want}, l.deliver(d)); diff != "" {
				t.Error(diff)
			}
			if len(x.seen()) > 0 {
				t.Error("something left")
			}
		})
	}
}

func TestSMTPTroubleWithOurContentIsOurs(t *testing.T) {
	torn := func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(strings.NewReader(message), iotest.ErrReader(errors.New("disk")))), nil
	}
	none := func(context.Context) (io.ReadCloser, error) { return nil, errors.New("disk") }
	for name, test := range map[string]struct {
		open func(context.Context) (io.ReadCloser, error)
		want string
	}{
		"no content":   {none, "deferred 451 4.3.0 the stored message cannot be read, local"},
		"torn content": {torn, "deferred 451 4.3.0 the stored message cannot be read, local"},
		"too short":    {contentIs("Subject: x\r\n"), "deferred 451 4.3.0 the stored message cannot be read, local"},
		"bare LF":      {contentIs("Subject: xxxxxxxxxxxxxxxxx\n\r\n"), "deferred 451 4.3.0 the stored message is not fit for SMTP: bare LF, local"},
		"8-bit":        {contentIs(message + "\xe9\r\n"), "failed 554 5.6.3 the message has 8-bit content and the next hop does not offer 8BITMIME"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			x := l.at(t, "192.0.2.1", &exchanger{})
			d := mail("b@x.test")
			d.Open = test.open
			if diff := cmp.Diff([]string{test.want}, l.deliver(d)); diff != "" {
				t.Error(diff)
			}
			if len(x.seen()[0].Contents) > 0 {
				t.Error("content was sent")
			}
		})
	}
}

func TestSMTPLeavesMalformedAddressesToThemselves(t *testing.T) {
	l := newLab(t)
	x := l.at(t, "192.0.2.1", &exchanger{})
	got := l.deliver(mail("b@x.test", "evil> NOTIFY=NEVER@x.test", "c@x.test", "d@x.test\r\nQUIT"))
	want := []string{
		"delivered 250 2.0.0 taken by mx.x.test",
		"failed 553 5.1.3 malformed recipient address: local-part is neither a dot-atom nor a quoted string",
		"delivered 250 2.0.0 taken by mx.x.test",
		"failed 553 5.1.3 malformed recipient address: control character in address",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if all := strings.Join(x.seen()[0].Commands, "\n"); strings.Contains(all, "evil") || strings.Contains(all, "QUIT") {
		t.Error(all)
	}
	d := mail("b@x.test")
	d.Envelope.ReversePath = "a@b@c"
	if diff := cmp.Diff([]string{"deferred 451 4.1.7 malformed reverse-path: more than one @, local"}, l.deliver(d)); diff != "" {
		t.Error(diff)
	}
}

func TestSMTPInterruptedIsNotTried(t *testing.T) {
	for step, want := range map[string]string{
		"EHLO": "none 000 ", "MAIL": "none 000 ", "RCPT": "none 000 ", "DATA": "none 000 ",
		".": "deferred 451 4.4.2 lost connection with mx.x.test[192.0.2.1] at end of data: context canceled, uncertain",
	} {
		synctest.Test(t, func(t *testing.T) {
			l := newLab(t)
			l.at(t, "192.0.2.1", &exchanger{answer: on(step, "hang")})
			ctx, cancel := context.WithCancel(context.Background())
			go func() {
				synctest.Wait() // until the peer hangs
				cancel()
			}()
			report := l.Deliver(ctx, mail("b@x.test"))
			if got := short(report[0]); got != want {
				t.Errorf("%s: %s, want %s", step, got, want)
			}
		})
	}
}

func TestSMTPOutOfTimeIsADeferral(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.at(t, "192.0.2.1", &exchanger{answer: on("MAIL", "hang")})
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		report := l.Deliver(ctx, mail("b@x.test"))
		if want := "deferred 451 4.4.2 lost connection with mx.x.test[192.0.2.1] at MAIL FROM: timed out, destination"; short(report[0]) != want {
			t.Errorf("%s, want %s", short(report[0]), want)
		}
	})
}

func TestSMTPABlackHoleCostsTheConnectTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.net.BlackHole(netip.MustParseAddr("192.0.2.1"))
		for name, want := range map[string]time.Duration{"smtp": 30 * time.Second, "relaylim": 5 * time.Second} {
			d := mail("b@x.test")
			d.Plan.Definition = transport.Builtin()[name]
			begun := time.Now()
			got := l.deliver(d)
			if diff := cmp.Diff([]string{"deferred 451 4.4.1 connect to mx.x.test[192.0.2.1]:25: timed out, destination"}, got); diff != "" {
				t.Error(diff)
			}
			if took := time.Since(begun); took != want {
				t.Errorf("%s: took %v, want %v", name, took, want)
			}
		}
	})
}

// slowly is a resolver that waits for the context to end.
type slowly struct{}

func (slowly) MX(ctx context.Context, _ string) ([]transport.MX, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (slowly) Addrs(ctx context.Context, _ string) ([]netip.Addr, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestSMTPTimeThatEndsWithTheNamesIsADeferral(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.Resolver = slowly{}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if got, want := short(l.Deliver(ctx, mail("b@x.test"))[0]), "deferred 451 4.4.2 the delivery took too long"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		ctx, cancel = context.WithCancel(context.Background())
		go func() {
			synctest.Wait()
			cancel()
		}()
		if got := short(l.Deliver(ctx, mail("b@x.test"))[0]); got != "none 000 " {
			t.Error(got)
		}
	})
}

func TestSMTPInterruptedKeepsOnlyWhatAHostSaid(t *testing.T) {
	for name, test := range map[string]struct {
		first *exchanger
		want  string
	}{
		"nobody spoke":    {nil, "none 000 "},
		"the first spoke": {&exchanger{answer: on("RCPT", "450 later")}, "deferred 450 later by mx.x.test"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.zone.mx["x.test"] = []transport.MX{{Preference: 10, Host: "mx.x.test"}, {Preference: 20, Host: "second.x.test"}}
			l.zone.addrs["second.x.test"] = []string{"192.0.2.2"}
			if test.first != nil {
				l.at(t, "192.0.2.1", test.first)
			}
			ctx, cancel := context.WithCancel(context.Background())
			l.at(t, "192.0.2.2", &exchanger{answer: func(line string) string {
				cancel()
				return "hang"
			}})
			if got := short(l.Deliver(ctx, mail("b@x.test"))[0]); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}
