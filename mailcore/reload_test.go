package mailcore_test

import (
	"crypto/tls"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/mailcore/mailtest"
	"github.com/panelmail/panelmail/transport"
)

// everywhere is every client of a lab.
func everywhere() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("203.0.0.0/8")} }

// greet connects to port 25.
func greet(t *testing.T, lab *mailtest.Lab) *smtp.Client {
	t.Helper()
	c := smtp.NewClient(lab.Dial(25))
	if err := c.Hello("client.example"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestAReloadIsForConnectionsThatBeginAfterIt(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		mx := lab.Domain("customer.example")
		lab.Server(mailcore.Config{})
		before := greet(t, lab)
		if err := lab.Reload(mailcore.Config{RelayNetworks: everywhere(), MessageSize: 1000}); err != nil {
			t.Fatal(err)
		}
		after := greet(t, lab)
		const content = "Subject: x\r\n\r\nx\r\n"
		if err := send(before, "a@elsewhere.example", content, "u@customer.example"); code(err) != 554 {
			t.Errorf("the connection from before relays: %v", err)
		}
		if size, _ := before.MaxMessageSize(); size != 50<<20 {
			t.Errorf("the connection from before has the size limit %d", size)
		}
		if err := send(after, "a@elsewhere.example", content, "u@customer.example"); err != nil {
			t.Errorf("the connection from after: %v", err)
		}
		if size, _ := after.MaxMessageSize(); size != 1000 {
			t.Errorf("the connection from after has the size limit %d", size)
		}
		lab.Drain(time.Minute)
		if got := len(mx.Messages()); got != 1 {
			t.Errorf("%d messages arrived, want 1", got)
		}
	})
}

func TestAReloadIsForAttemptsThatBeginAfterIt(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		mx, relay := lab.Domain("customer.example"), lab.Exchanger("relay.provider.example")
		mx.Answer(mailtest.Rcpt, transport.Replyf(451, "4.7.1", "come back later"))
		srv := lab.Server(mailcore.Config{})
		submit(t, srv, hello("shop@shop.example", "u@customer.example"))
		lab.Wait(time.Second)
		if err := lab.Reload(mailcore.Config{SmartHost: "[relay.provider.example]"}); err != nil {
			t.Fatal(err)
		}
		lab.Drain(time.Hour)
		if there, here := len(mx.Messages()), len(relay.Messages()); there != 0 || here != 1 {
			t.Errorf("%d messages by the old way and %d by the new", there, here)
		}
	})
}

func TestAReloadIsForTheScheduleOfWhatIsTriedAfterIt(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		mx, sender := lab.Domain("customer.example"), lab.Domain("shop.example")
		mx.Always(mailtest.Rcpt, transport.Replyf(451, "4.7.1", "come back later"))
		srv := lab.Server(mailcore.Config{Retry: mailcore.Retry{DelayWarning: -1}})
		submit(t, srv, hello("a@shop.example", "early@customer.example"))
		lab.Wait(time.Second)
		retry := mailcore.Retry{BackoffMin: time.Hour, BackoffMax: time.Hour, Lifetime: 3 * time.Hour, DelayWarning: -1}
		if err := lab.Reload(mailcore.Config{Hostname: "other.example", Retry: retry}); err != nil {
			t.Fatal(err)
		}
		submit(t, srv, hello("a@shop.example", "late@customer.example"))
		lab.Wait(100 * time.Minute)
		if got := len(mx.Attempts()); got > 6 { // with the first schedule each had six
			t.Errorf("%d attempts at two messages within 100 minutes", got)
		}
		lab.Wait(4 * time.Hour)
		if report := bounceAt(t, sender); !strings.Contains(report, "late@customer.example") || !strings.Contains(report, "Reporting-MTA: dns; other.example") {
			t.Errorf("expired within six hours:\n%s", report)
		}
	})
}

func TestABrokenReloadNamesEveryProblemAndChangesNothing(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		lab.Domain("customer.example")
		lab.Server(mailcore.Config{})
		err := lab.Reload(mailcore.Config{
			RelayNetworks: everywhere(), Postmaster: "nobody", TLSLevel: "safe", MessageSize: -1,
			Transports: []transport.Definition{{Name: "odd", Base: "pigeon"}},
		})
		for _, want := range []string{"Postmaster", "TLSLevel", "MessageSize", `base "pigeon" is unknown`} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("no %s in %v", want, err)
			}
		}
		err = lab.Reload(mailcore.Config{RelayNetworks: everywhere(), Maildrop: "/elsewhere", Workers: 7, CommitDelay: 1})
		for _, want := range []string{"Maildrop: a change needs a restart", "Workers: a change needs a restart", "CommitDelay: a change needs a restart"} {
			if !errors.Is(err, mailcore.ErrRestart) || !strings.Contains(err.Error(), want) {
				t.Errorf("no %s in %v", want, err)
			}
		}
		if err := send(greet(t, lab), "a@elsewhere.example", "", "u@customer.example"); code(err) != 554 {
			t.Errorf("a configuration that was refused is in force: %v", err)
		}
	})
}

func TestAReloadWithoutTLSKeepsTheSelfSignedCertificate(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		lab.Server(mailcore.Config{})
		certificate := func() string {
			c, err := smtp.NewClientStartTLS(lab.Dial(587), &tls.Config{InsecureSkipVerify: true})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := c.Hello("client.example"); err != nil {
				t.Fatal(err)
			}
			state, _ := c.TLSConnectionState()
			return string(state.PeerCertificates[0].Raw)
		}
		first := certificate()
		if err := lab.Reload(mailcore.Config{HideClient: true}); err != nil {
			t.Fatal(err)
		}
		if certificate() != first {
			t.Error("another certificate was made")
		}
	})
}

func TestReloadsUnderLoadDropNothing(t *testing.T) {
	const clients, each = 8, 25
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		mx := lab.Domain("customer.example")
		lab.Server(mailcore.Config{RelayNetworks: everywhere()})
		var group sync.WaitGroup
		for range clients {
			c := greet(t, lab)
			group.Go(func() {
				for range each {
					if err := send(c, "a@elsewhere.example", "Subject: x\r\n\r\nx\r\n", "u@customer.example"); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		for i := range 50 {
			if err := lab.Reload(mailcore.Config{RelayNetworks: everywhere(), MessageSize: int64(1000 + i), Concurrency: 1 + i%5}); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Millisecond) // of virtual time: it passes when all wait
		}
		group.Wait()
		lab.Drain(time.Hour)
		if got := len(mx.Messages()); got != clients*each {
			t.Errorf("%d messages arrived, want %d", got, clients*each)
		}
	})
}
