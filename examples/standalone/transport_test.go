package main

import (
	"strings"
	"testing"
)

func TestTransportsAreSetShownAndDeleted(t *testing.T) {
	eachWay(t, func(t *testing.T, l *lab, ids []string) {
		l.steps(ids,
			step{args: "transport set slow --concurrency 2 --rate 30/1m --retry-max 2h --helo-timeout 5s --tls encrypt", stdout: "transport slow: smtp, concurrency 2, rate 30/1m, retry-max 2h, helo-timeout 5s, tls encrypt\n"},
			step{args: "transport set slow --concurrency 0 --rate 0 --tls 0 --cohorts -1", stdout: "transport slow: smtp, cohorts -1, retry-max 2h, helo-timeout 5s\n"},
			step{args: "transport set once --base oneshot --processes 3 --json", stdout: `{"attempts":1,"base":"smtp","built_in":false,"cohorts":0,"concurrency":0,"connect_timeout":0,"helo_timeout":0,"initial":0,"lifetime":0,"name":"once","processes":3,"rate":"","rate_delay":0,"recipients":0,"retry_max":0,"retry_min":0,"tls":""}` + "\n"},
			step{args: "transport show relaylim", stdout: `transport relaylim
  base            smtp
  concurrency     1
  initial         default
  processes       default
  rate            default
  rate-delay      default
  recipients      default
  cohorts         default
  attempts        default
  retry-min       default
  retry-max       default
  lifetime        default
  connect-timeout 5s
  helo-timeout    5s
  tls             default
`},
			step{args: "route set .ru slow:", stdout: "route .ru -> slow:\n"},
			step{args: "transport delete slow", status: 1, stderr: `"slow" is in use by route .ru`},
			step{args: "route delete .ru", stdout: "route .ru deleted\n"},
			step{args: "transport delete slow", stdout: "transport slow deleted\n"},
			step{args: "route set .ru slow:", status: 1, stderr: `unknown transport "slow"`},
			step{args: "transport show slow", status: 1, stderr: `"slow": not found`},
			step{args: "transport set store --base lmtp", stdout: "transport store: lmtp\n"},
			step{args: "mailbox add ann@shop.example --deliver store:unix:/run/lmtp", stdout: "mailbox ann@shop.example -> store:unix:/run/lmtp\n"},
			step{args: "transport delete store", status: 1, stderr: "mailbox ann@shop.example"},
			step{args: "transport set relaylim --rate-delay 1s", stdout: "transport relaylim: smtp, concurrency 1, rate-delay 1s, connect-timeout 5s, helo-timeout 5s\n"},
			step{args: "transport delete relaylim", stdout: "transport relaylim deleted\n"},
			step{args: "transport delete relaylim", status: 1, stderr: "not found"},
			step{args: "transport set x --base none", status: 2, stderr: `no transport "none"`},
			step{args: "transport set x --rate 30/x", status: 2, stderr: "no duration"},
			step{args: "transport set x --attempts -1", status: 1, stderr: "Attempts"},
			step{args: "transport set error --base smtp", status: 1, stderr: "its base is error"},
			step{args: "transport set", status: 2, stderr: "usage: panelmail transport set"},
		)
		l.do("", "transport", "set", "slow", "--attempts", "3")
		l.do("", "route", "set", ".ru", "slow:")
		if plan := l.do("", "explain", "me@shop.example", "u@x.ru", "--json"); !strings.Contains(plan, `"attempts":3`) {
			t.Errorf("plan %s", plan)
		}
		l.do("", "transport", "set", "slow", "--attempts", "4")
		if plan := l.do("", "explain", "me@shop.example", "u@x.ru", "--json"); !strings.Contains(plan, `"attempts":4`) {
			t.Errorf("plan %s", plan)
		}
		list := l.do("", "transport", "list")
		for _, line := range []string{
			"oneshot          smtp     built in  attempts 1", "once             smtp     set       processes 3, attempts 1", "maildir          maildir  built in",
		} {
			if !strings.Contains(list, line) {
				t.Errorf("no line %q in\n%s", line, list)
			}
		}
	})
}
