package transport_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// transactions are the recipients of each transaction of each visit, without domains
// of x.test.
func transactions(x *exchanger) [][]string {
	var all [][]string
	for _, v := range x.seen() {
		var visit []string
		for _, line := range v.Commands {
			switch verb, rest, _ := strings.Cut(line, " "); verb {
			case "MAIL":
				visit = append(visit, "")
			case "RCPT":
				to, _, _ := strings.Cut(strings.TrimPrefix(rest, "TO:<"), ">")
				visit[len(visit)-1] += " " + strings.TrimSuffix(to, "@x.test")
			}
		}
		for i := range visit {
			visit[i] = strings.TrimSpace(visit[i])
		}
		all = append(all, visit)
	}
	return all
}

// crowded answers as a host that takes so many recipients in a transaction, whatever
// it says to the others.
func crowded(most int, says string) func(string) string {
	var (
		mu sync.Mutex
		n  int
	)
	return func(line string) string {
		mu.Lock()
		defer mu.Unlock()
		switch verb, _, _ := strings.Cut(line, " "); verb {
		case "MAIL":
			n = 0
		case "RCPT":
			if n++; n > most {
				return says
			}
		}
		return ""
	}
}

// every makes an exchanger answer a command the second, the fourth time and so on.
func every(second, reply string) func(string) string {
	var n atomic.Int32
	return func(line string) string {
		if strings.HasPrefix(line, second) && n.Add(1)%2 == 0 {
			return reply
		}
		return ""
	}
}

func TestSMTPKeepsToTheLimitsOfTheHost(t *testing.T) {
	five := []string{"a@x.test", "b@x.test", "c@x.test", "d@x.test", "e@x.test"}
	type says func() func(string) string
	takes := func(most int, reply string) says {
		return func() func(string) string { return crowded(most, reply) }
	}
	for name, test := range map[string]struct {
		limits string
		answer says
		to     []string
		want   [][]string // the transactions of each connection
	}{
		"none":      {"", nil, five, [][]string{{"a b c d e"}}},
		"RCPTMAX":   {"RCPTMAX=2", nil, five, [][]string{{"a b", "c d", "e"}}},
		"MAILMAX":   {"MAILMAX=1 RCPTMAX=3", nil, five, [][]string{{"a b c"}, {"d e"}}},
		"both":      {"MAILMAX=2 RCPTMAX=1", nil, five, [][]string{{"a", "b"}, {"c", "d"}, {"e"}}},
		"malformed": {"RCPTMAX=0 MAILMAX=none", nil, five, [][]string{{"a b c d e"}}},
		"RCPTDOMAINMAX": {"RCPTDOMAINMAX=1", nil, []string{"a@x.test", "b@y.test", "c@X.test", "d@z.test", "e@y.test"},
			[][]string{{"a c@X.test"}, {"b@y.test e@y.test"}, {"d@z.test"}}},
		"RCPTDOMAINMAX and RCPTMAX": {"RCPTDOMAINMAX=2 RCPTMAX=2", nil, []string{"a@x.test", "b@y.test", "c@x.test", "d@z.test"},
			[][]string{{"a b@y.test", "c"}, {"d@z.test"}}},
		"452 4.5.3":         {"", takes(2, "452 4.5.3 too many"), five, [][]string{{"a b c d e", "c d", "e"}}},
		"452":               {"", takes(2, "452 too many"), five, [][]string{{"a b c d e", "c d", "e"}}},
		"552":               {"", takes(2, "552 too many"), five, [][]string{{"a b c d e", "c d", "e"}}},
		"one at a time":     {"", takes(1, "452 4.5.3 one is enough"), five[:3], [][]string{{"a b c", "b", "c"}}},
		"452 and a MAILMAX": {"MAILMAX=1", takes(3, "452 4.5.3 no"), five, [][]string{{"a b c d e"}, {"d e"}}},
		"less than it says": {"RCPTMAX=3", takes(2, "452 4.5.3 no"), five, [][]string{{"a b c", "d e", "c"}}},
	} {
		for _, offers := range [][]string{nil, {"PIPELINING"}} {
			t.Run(fmt.Sprint(name, offers), func(t *testing.T) {
				l := newLab(t)
				x := l.at(t, "192.0.2.1", &exchanger{offers: append(offers, "LIMITS "+test.limits)})
				if test.answer != nil {
					x.answer = test.answer()
				}
				for i, got := range l.deliver(mail(test.to...)) {
					if got != taken {
						t.Errorf("%s: %s", test.to[i], got)
					}
				}
				if diff := cmp.Diff(test.want, transactions(x)); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

// TestSMTPAnEndBetweenTransactionsCostsAConnectionAndNothingElse: the host was within
// its rights, and nobody was refused.
func TestSMTPAnEndBetweenTransactionsCostsAConnectionAndNothingElse(t *testing.T) {
	for _, end := range []string{"421 4.7.0 enough", "close"} {
		l := newLab(t)
		x := l.at(t, "192.0.2.1", &exchanger{offers: []string{"LIMITS RCPTMAX=2"}, answer: every("MAIL", end)})
		for _, got := range l.deliver(mail("a@x.test", "b@x.test", "c@x.test", "d@x.test", "e@x.test")) {
			if got != taken {
				t.Errorf("%s: %s", end, got)
			}
		}
		if diff := cmp.Diff([][]string{{"a b", ""}, {"c d", ""}, {"e"}}, transactions(x)); diff != "" {
			t.Errorf("%s: %s", end, diff)
		}
	}
}

// TestSMTPTellsThoseWhoWaitedForATransactionWhyThereWasNone: a host that fails in the
// second transaction has taken the first, and the rest is another host's or waits.
func TestSMTPTellsThoseWhoWaitedForATransactionWhyThereWasNone(t *testing.T) {
	for name, test := range map[string]struct {
		answer func(string) string
		want   []string
	}{
		"451 at MAIL": {every("MAIL", "451 4.3.0 busy"),
			[]string{taken, "deferred 451 4.3.0 busy by mx.x.test", "deferred 451 4.3.0 busy by mx.x.test"}},
		"550 at MAIL": {every("MAIL", "550 5.7.1 no"), []string{taken, "failed 550 5.7.1 no by mx.x.test", taken}},
		"421 at DATA": {every("DATA", "421 4.3.2 down"),
			[]string{taken, "deferred 421 4.3.2 down by mx.x.test", "deferred 421 4.3.2 down by mx.x.test"}},
		"closed at RCPT": {every("RCPT", "close"),
			[]string{taken, lostAt("RCPT TO"), lostAt("RCPT TO")}},
		"closed after the dot": {every(".", "close"),
			[]string{taken, lostAt("end of data") + ", uncertain", lostAt("end of data")}},
		"450 at RCPT":                 {every("RCPT", "450 4.2.0 later"), []string{taken, "deferred 450 4.2.0 later by mx.x.test", taken}},
		"550 at the dot":              {every(".", "550 5.7.1 spam"), []string{taken, "failed 550 5.7.1 spam by mx.x.test", taken}},
		"452 of a host that is full":  {every("RCPT", "452 4.3.1 disk full"), []string{taken, "deferred 452 4.3.1 disk full by mx.x.test", taken}},
		"452 and nobody was accepted": {every("RCPT", "452 4.5.3 no"), []string{taken, "deferred 452 4.5.3 no by mx.x.test", taken}},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.at(t, "192.0.2.1", &exchanger{offers: []string{"LIMITS RCPTMAX=1"}, answer: test.answer})
			if diff := cmp.Diff(test.want, l.deliver(mail("a@x.test", "b@x.test", "c@x.test"))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func lostAt(step string) string {
	return "deferred 451 4.4.2 lost connection with mx.x.test[192.0.2.1] at " + step + ": closed by the other side"
}

func TestSMTPAKeptSessionKeepsToTheLimitsToo(t *testing.T) {
	l := newLab(t)
	x := l.at(t, "192.0.2.1", &exchanger{offers: []string{"LIMITS MAILMAX=2 RCPTDOMAINMAX=1"}})
	for _, to := range []string{"a@x.test", "b@x.test", "c@x.test", "d@y.test"} {
		d := mail(to)
		d.Plan.Nexthop = "x.test"
		if got := l.deliver(d)[0]; got != taken {
			t.Error(got)
		}
	}
	if diff := cmp.Diff([][]string{{"a", "b"}, {"c"}, {"d@y.test"}}, transactions(x)); diff != "" {
		t.Error(diff)
	}
}

func TestAConnectionGetsOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		x := l.at(t, "192.0.2.1", &exchanger{})
		for range 80 { // every four seconds, for 320 seconds
			l.deliver(mail("b@x.test"))
			time.Sleep(4 * time.Second)
		}
		var uses []int
		for _, v := range x.seen() {
			uses = append(uses, len(v.Contents))
		}
		if diff := cmp.Diff([]int{76, 4}, uses); diff != "" {
			t.Error(diff)
		}
		l.Close()
	})
}
