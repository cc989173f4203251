package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const routes = "PATTERN       ROUTE\nheld.example  hold:waits for a person\nlate.example  retry:4.7.1 come back later\n"

func TestRoutesAreSetListedLookedUpAndDeleted(t *testing.T) {
	eachWay(t, func(t *testing.T, l *lab, ids []string) {
		l.steps(ids,
			step{args: "route list", stdout: routes},
			step{args: "route list --json", stdout: `{"pattern":"held.example","value":"hold:waits for a person"}` + "\n" + `{"pattern":"late.example","value":"retry:4.7.1 come back later"}` + "\n"},
			step{args: "route lookup a@late.example", stdout: "retry:4.7.1 come back later\t(route: late.example)\n"},
			step{args: "route lookup a@late.example --json", stdout: `{"nexthop":"4.7.1 come back later","rule":"route: late.example","transport":"retry"}` + "\n"},
			step{args: "route lookup a@any.example", status: 1, stderr: "no route for a@any.example"},
			step{args: "route set .ru oneshot:", stdout: "route .ru -> oneshot:\n"},
			step{args: "route lookup a@b.ru", stdout: "oneshot:\t(route: .ru)\n"},
			step{args: "route set .ru erorr:x", status: 1, stderr: `unknown transport "erorr"`},
			step{args: "route|set|.ru|error:4.4.4 x", status: 1, stderr: "class 5"},
			step{args: "route lookup a@b.ru", stdout: "oneshot:\t(route: .ru)\n"},
			step{args: "route delete .ru", stdout: "route .ru deleted\n"},
			step{args: "route delete .ru", status: 1, stderr: `".ru" not found`},
			step{args: "route set .ru", status: 2, stderr: "usage: panelmail route set"},
			step{args: "route list", stdout: routes},
		)
	})
}

func TestARouteFileIsImportedWholeOrNotAtAll(t *testing.T) {
	eachWay(t, func(t *testing.T, l *lab, ids []string) {
		file := filepath.Join(l.data, "transport")
		write := func(text string) {
			t.Helper()
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for _, tt := range []struct{ text, want string }{
			{"one.test smtp:[gw.test]\n# two\ntwo.test error:4.4.4 x\n", file + `:3: "two.test": error: takes a status of class 5, not 4.4.4`},
			{"one.test smtp:[gw.test]\n\ntwo.test\n", file + `:3: "two.test": the value is missing`},
			{"one.test smtp:[gw.test]\ntwo.test erorr:x\n", file + `:2: "two.test": unknown transport "erorr"`},
			{"one.test smtp:[gw.test]\n\"two smtp:\n", file + `:2: a quote is not closed`},
		} {
			write(tt.text)
			l.steps(ids,
				step{args: "route import " + file, status: 1, stderr: tt.want},
				step{args: "route list", stdout: routes},
			)
		}
		write("one.test smtp:[gw.test]\n.ru oneshot:\none.test relay:\n")
		l.steps(ids,
			step{args: "route import " + file, stdout: "2 routes imported\n", stderr: "warning: " + file + ":3: one.test stands on line 1 already"},
			step{args: "route lookup a@one.test", stdout: "smtp:[gw.test]\t(route: one.test)\n"},
			step{args: "route import -", stdin: "two.test error:\n", stdout: "1 route imported\n"},
			step{args: "route lookup a@two.test", stdout: "error:Address is undeliverable\t(route: two.test)\n"},
			step{args: "route import " + file + ".not", status: 1, stderr: "no such file"},
		)
	})
}

func TestAPlanIsExplainedWithItsRules(t *testing.T) {
	eachWay(t, func(t *testing.T, l *lab, ids []string) {
		l.steps(ids,
			step{args: "source set shop 127.0.0.7,::1 --helo out.shop.example", stdout: "mail of shop leaves from 127.0.0.7,::1\n"},
			step{args: "source list", stdout: "KEY   IPV4       IPV6  HELO              PREFER  WEIGHT\nshop  127.0.0.7  ::1   out.shop.example  -       1\n"},
			step{args: "source list --json", stdout: `{"key":"shop","ipv4":"127.0.0.7","ipv6":"::1","helo":"out.shop.example"}` + "\n"},
			step{args: "smarthost set default [smart.example]:587 acct", stdin: "canary\n", stdout: "mail of default goes through [smart.example]:587\n"},
			step{args: "smarthost list", stdout: "KEY      NEXTHOP              USER\ndefault  [smart.example]:587  acct\n"},
			step{args: "smarthost list --json", stdout: `{"key":"default","nexthop":"[smart.example]:587","credential":"acct:***"}` + "\n"},
			step{args: "tls set [smart.example]:587 none", stdout: "TLS to [smart.example]:587: none\n"},
			step{args: "tls list --cached --json", stdout: ""},
			step{args: "tls list --cached", stdout: "no policies of other domains are kept\n"},
			step{args: "tls list --json", stdout: `{"key":"[smart.example]:587","level":"none"}` + "\n"},
			step{args: "tls set smart.example safe", status: 1, stderr: `TLS level "safe" is not known`},
			step{args: "tls set smart.example secure mach=x", status: 1, stderr: `attribute "mach" is not known`},
			step{args: "tls set smart.example secure ca=/nonexistent", status: 1, stderr: "/nonexistent"},
			step{args: "tls set x.example secure match=mx.example:.mx.example min=1.3 --site shop", stdout: "TLS to x.example: secure match=mx.example:.mx.example min=1.3\n"},
			step{args: "tls list", stdout: `KEY                  LEVEL   ATTRIBUTES                            SITE
[smart.example]:587  none    -                                     -
x.example            secure  match=mx.example:.mx.example min=1.3  shop
`},
			step{args: "tls delete x.example", status: 1, stderr: "not found"},
			step{args: "tls delete x.example --site shop", stdout: "TLS policy of x.example deleted\n"},
			step{args: "tls report", stdout: "no TLS sessions counted\n"},
			step{args: "explain me@shop.example u@any.example", stdout: `me@shop.example -> u@any.example
  transport   smtp                                     default
  nexthop     [smart.example]:587                      smarthost: default
  source      shop 127.0.0.7 ::1                       source: shop
  helo        out.shop.example                         source: shop
  tls         encrypt                                  a credential needs encrypt, not none (tls: [smart.example]:587)
  credential  acct:***                                 smarthost: default
  attempts    no limit                                 default
  limit       20, at first 5                           limits.destination_concurrency
  schedule    the queue's                              default
  lane        127.0.0.7,::1,out.shop.example/[smart.example]:587 source and next hop
`},
			step{args: "smarthost unset default", stdout: "smart host of default unset\n"},
			step{args: "route set near.example smtp:[127.0.0.1]:2626", stdout: "route near.example -> smtp:[127.0.0.1]:2626\n"},
			step{args: "explain me@shop.example u@near.example --dns --json", stdout: `{"transport":"smtp","nexthop":"[127.0.0.1]:2626","source":{"name":"shop","ipv4":"127.0.0.7","ipv6":"::1","helo":"out.shop.example"},` +
				`"helo":"out.shop.example","tls":"may","smart_host":false,"attempts":0,"limit":20,"initial":5,"destination":"[127.0.0.1]:2626","lane":"127.0.0.7,::1,out.shop.example/[127.0.0.1]:2626",` +
				`"because":[{"part":"transport","rule":"route: near.example"},{"part":"nexthop","rule":"route: near.example"},{"part":"source","rule":"source: shop"},{"part":"helo","rule":"source: shop"},` +
				`{"part":"credential","rule":"default"},{"part":"tls","rule":"delivery.tls"},{"part":"attempts","rule":"default"},{"part":"limit","rule":"limits.destination_concurrency"},` +
				`{"part":"schedule","rule":"default"},{"part":"lane","rule":"source and next hop"}],"hosts":[{"name":"127.0.0.1","address":"127.0.0.1:2626","from":"127.0.0.7"}]}` + "\n"},
			step{args: "route delete near.example", stdout: "route near.example deleted\n"},
			step{args: "smarthost unset default", status: 1, stderr: "not found"},
			step{args: "source delete shop", stdout: "source of shop deleted\n"},
			step{args: "source set shop 127.0.0.777", status: 2, stderr: "127.0.0.777"},
			step{args: "source set shop 127.0.0.7,127.0.0.8", status: 2, stderr: "two addresses of one family"},
			step{args: "source set nosite 127.0.0.7", status: 1, stderr: `site "nosite" not found`},
			step{args: "smarthost set default [smart", status: 1, stderr: "[smart"},
			step{args: "smarthost set default [smart.example] acct", status: 2, stderr: "no password on standard input"},
			step{args: "relay set [smart.example]:587 acct", stdin: "canary", stdout: "credential of [smart.example]:587 set\n"},
			step{args: "relay list", stdout: "KEY                  USER\n[smart.example]:587  acct\n"},
			step{args: "relay set [smart.example]:587 acct --xoauth2 --json", stdin: "canary", stdout: `{"key":"[smart.example]:587","credential":"acct:*** (XOAUTH2)"}` + "\n"},
			step{args: "relay list --json", stdout: `{"key":"[smart.example]:587","credential":"acct:*** (XOAUTH2)"}` + "\n"},
			step{args: "relay delete [smart.example]:587", stdout: "credential of [smart.example]:587 deleted\n"},
			step{args: "explain me@shop.example", status: 2, stderr: "usage: panelmail explain"},
		)
	})
}

// sshaHash is a hash of some password, by doveadm pw.
const sshaHash = "{SSHA}h8T4jWKd6M+PmCFCZqXCw5PvjPtXEzNh"

func TestSitesDomainsAndLoginsAreKept(t *testing.T) {
	eachWay(t, func(t *testing.T, l *lab, ids []string) {
		l.steps(ids,
			step{args: "site list", stdout: "SITE  UIDS  CONTACT  STATE\nshop  4711           active\n"},
			step{args: "site add shop", status: 1, stderr: `site "shop" exists already`},
			step{args: "site add other --uid 4711", status: 1, stderr: "4711"},
			step{args: "site add other --uid x", status: 2, stderr: `uid "x" is no number`},
			step{args: "site show shop", stdout: "site shop\n  domain shop.example (hosted)\n  login me@shop.example\n"},
			step{args: "site show shop --json", stdout: `{"name":"shop","uids":[4711],"domains":[{"domain":"shop.example","site":"shop","class":"hosted"}],"logins":[{"name":"me@shop.example","site":"shop"}]}` + "\n"},
			step{args: "site show nope", status: 1, stderr: `site "nope": not found`},
			step{args: "domain add shop.example --site shop", status: 1, stderr: "exists already"},
			step{args: "domain add other.example", status: 2, stderr: "--site is missing"},
			step{args: "domain add other.example --site nope", status: 1, stderr: `site "nope" not found`},
			step{args: "domain add other.example --site shop --class lost", status: 1, stderr: "lost"},
			step{args: "domain add other.example --class relay --site shop", stdout: "domain other.example added to site shop\n"},
			step{args: "domain list --json", stdout: `{"domain":"other.example","site":"shop","class":"relay"}` + "\n" + `{"domain":"shop.example","site":"shop","class":"hosted"}` + "\n"},
			step{args: "login add x@shop.example --site shop", status: 2, stderr: "no password on standard input"},
			step{args: "login add x@shop.example --site shop", stdin: "canary\nrest", stdout: "login x@shop.example added to site shop\n"},
			step{args: "login list --site shop", stdout: "LOGIN            SITE\nme@shop.example  shop\nx@shop.example   shop\n"},
			step{args: "login passwd nobody@shop.example", stdin: "canary\n", status: 1, stderr: "not found"},
			step{args: "login passwd x@shop.example", stdin: "canary2\n", stdout: "password of x@shop.example changed\n"},
			step{args: "login remove x@shop.example", stdout: "login x@shop.example removed\n"},
			step{args: "login add y --site shop --hash", stdin: "{PLAIN}canary", status: 1, stderr: "keeps the password itself"},
			step{args: "login add y --site shop --hash", stdin: sshaHash + "\n", stdout: "login y added to site shop\n"},
			step{args: "login import - --site shop", stdin: "a:" + sshaHash + "\nb:{NTLM}canary\n", status: 1, stderr: "-: line 2"},
			step{args: "login import - --site shop", stdin: "a:" + sshaHash + "\nb:" + sshaHash + ":1:1\n", stdout: "2 logins added to site shop\n"},
			step{args: "login import --site shop /nonexistent", status: 1, stderr: "/nonexistent"},
			step{args: "login import -", stdin: "a:x", status: 2, stderr: "--site is missing"},
			step{args: "login list", stdout: "LOGIN            SITE\na                shop\nb                shop\nme@shop.example  shop\ny                shop\n"},
			step{args: "domain remove other.example", stdout: "domain other.example removed\n"},
			step{args: "domain remove other.example", status: 1, stderr: "not found"},
		)
	})
}

func TestASecretIsNeverPrinted(t *testing.T) {
	l := newLab(t)
	l.seed()
	l.do("canary\n", "smarthost", "set", "default", "[smart.example]:587", "acct")
	l.do("canary\n", "relay", "set", "[smart.example]:587", "acct")
	for _, args := range []string{"smarthost list", "relay list", "login list", "explain me@shop.example u@any.example", "site show shop", "config show"} {
		for _, format := range []string{"--json", "--no-color"} {
			if out := l.do("", append(strings.Fields(args), format)...); strings.Contains(out, "canary") {
				t.Errorf("%s: %s", args, out)
			}
		}
	}
}

func TestHelpKnowsEveryCommandAndUsageIsStatusTwo(t *testing.T) {
	l := newLab(t)
	text := l.do("", "help")
	for _, c := range commands() {
		if !strings.Contains(text, "  "+c.name+" ") {
			t.Errorf("help does not name %s", c.name)
		}
		if c.name == "sendmail" || c.name == "help" {
			continue
		}
		if got := l.do("", append(strings.Fields(c.name), "--help")...); !strings.Contains(got, c.short) {
			t.Errorf("%s --help: %s", c.name, got)
		}
	}
	if got := l.do("", "queue", "rule", "--help"); !strings.Contains(got, "queue rule delete ID") || strings.Contains(got, "queue list") {
		t.Errorf("help for a group: %s", got)
	}
	l.steps(nil,
		step{args: "bogus --help", status: 2, stderr: `unknown command "bogus"`},
		step{args: "bogus", status: 2, stderr: `unknown command "bogus"`},
		step{args: "queue", status: 2, stderr: "queue what? list, show"},
		step{args: "help bogus", status: 2, stderr: `unknown command "bogus"`},
		step{args: "queue list --config", status: 2, stderr: "--config needs a value"},
	)
}

func TestAPoolOfSourcesIsBuiltAndTakenApart(t *testing.T) {
	eachWay(t, func(t *testing.T, l *lab, ids []string) {
		l.steps(ids,
			step{args: "source set default 127.0.0.7 --helo out.panel.example --prefer ipv4-only", stdout: "mail of default leaves from 127.0.0.7\n"},
			step{args: "source add default 127.0.0.8,::8 --helo two.panel.example --weight 3 --prefer ipv6", stdout: "mail of default leaves from 127.0.0.8,::8 too\n"},
			step{args: "source set login:me@shop.example 127.0.0.9", stdout: "mail of login:me@shop.example leaves from 127.0.0.9\n"},
			step{args: "source set login:nobody 127.0.0.9", status: 1, stderr: `login "nobody" not found`},
			step{args: "source set shop 127.0.0.9 --prefer later", status: 1, stderr: "want ipv4, ipv6, ipv4-only or ipv6-only"},
			step{args: "source list", stdout: `KEY                    IPV4       IPV6  HELO               PREFER     WEIGHT
default                127.0.0.7  -     out.panel.example  ipv4-only  1
default                127.0.0.8  ::8   two.panel.example  ipv6       3
login:me@shop.example  127.0.0.9  -     -                  -          1
`},
			step{args: "source list --json", stdout: `{"key":"default","ipv4":"127.0.0.7","helo":"out.panel.example","prefer":"ipv4-only","weight":1}
{"key":"default","ipv4":"127.0.0.8","ipv6":"::8","helo":"two.panel.example","prefer":"ipv6","weight":3}
{"key":"login:me@shop.example","site":"shop","ipv4":"127.0.0.9"}
`},
			step{args: "source delete default 127.0.0.8", status: 1, stderr: `"default 127.0.0.8" not found`},
			step{args: "source delete default 127.0.0.8,::8", stdout: "source 127.0.0.8,::8 of default deleted\n"},
			step{args: "source delete default", stdout: "source of default deleted\n"},
			step{args: "source delete login:me@shop.example", stdout: "source of login:me@shop.example deleted\n"},
			step{args: "source list", stdout: "no sources\n"},
		)
	})
}

func TestAHostIsProbedFromTheSourceOfTheSender(t *testing.T) {
	host, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	go func() {
		for {
			conn, err := host.Accept()
			if err != nil {
				return
			}
			fmt.Fprintf(conn, "220 mx.test says hello to %s\r\n", conn.RemoteAddr().(*net.TCPAddr).IP)
			for lines := bufio.NewScanner(conn); lines.Scan() && lines.Text() != "QUIT"; {
				fmt.Fprint(conn, "250-mx.test\r\n250 8BITMIME\r\n")
			}
			conn.Close()
		}
	}()
	at := host.Addr().String()
	eachWay(t, func(t *testing.T, l *lab, ids []string) {
		l.do("", "source", "set", "shop", "127.0.0.7", "--helo", "out.shop.example")
		l.steps(ids,
			step{args: "probe " + at + " --from me@shop.example", stdout: "127.0.0.1 at " + at + `, from 127.0.0.7 as out.shop.example	(source: shop)
  S: 220 mx.test says hello to 127.0.0.7
  C: EHLO out.shop.example
  S: 250-mx.test
  S: 250 8BITMIME
`},
			step{args: "probe " + at + " --json --site shop", stdout: `{"host":"127.0.0.1","address":"` + at + `","from":"127.0.0.7","helo":"out.shop.example","extensions":["8BITMIME"],` +
				`"transcript":"S: 220 mx.test says hello to 127.0.0.7\nC: EHLO out.shop.example\nS: 250-mx.test\nS: 250 8BITMIME\n"}` + "\n"},
			step{args: "probe 127.0.0.1:1", status: 1, stdout: "127.0.0.1 at 127.0.0.1:1, from the system's choice as mail.panel.example\t(default)\n  problem: connect to 127.0.0.1[127.0.0.1]:1: connection refused\n"},
			step{args: "probe", status: 2, stderr: "usage: panelmail probe"},
		)
	})
}
