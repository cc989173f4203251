package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/panelmail/panelmail/mailcore/sites"
)

// file writes a file into the data directory.
func (l *lab) file(name, text string) string {
	l.t.Helper()
	path := filepath.Join(l.data, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		l.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		l.t.Fatal(err)
	}
	return path
}

func TestTheTablesOfAPostfixAreTakenOver(t *testing.T) {
	eachWay(t, func(t *testing.T, l *lab, ids []string) {
		senders := l.file("sender_transport", "@shop.example shop-out:\nvip@shop.example relaylim:\nvip@shop.example smtp:\nroot DUNNO\n")
		l.file("master.d/site1-shop.cf", "shop-out unix - - n - 5 smtp\n  -o smtp_bind_address=192.0.2.7\n  -o smtp_helo_name=mail.shop.example -o smtp_x=y\n")
		hosts := l.file("relayhost", "@shop.example [gw.example]:587\n<> DUNNO\n")
		passwords := l.file("sasl_passwd", "[gw.example]:587 me:secret\n")
		l.steps(ids,
			step{args: "route sender import " + senders, status: 1, stderr: senders + `:1: "@shop.example": unknown transport "shop-out"`},
			step{args: "route sender import " + senders + " --master " + l.data + "/master.d --dry-run",
				stdout: "2 transports by sender and 1 source would be imported\n", stderr: "warning: " + senders + ":3: vip@shop.example stands on line 2 already"},
			step{args: "route sender list", stdout: "no transports by sender\n"},
			step{args: "source list", stdout: "no sources\n"},
			step{args: "route sender import --json --master " + l.data + "/master.d " + senders,
				stdout: `{"sender_routes":2,"sources":1}` + "\n", stderr: "of service shop-out this is not taken over: smtp_x"},
			step{args: "route sender list", stdout: "KEY                      ROUTE\nroot@mail.panel.example  DUNNO\nvip@shop.example         relaylim:\n"},
			step{args: "source list --json", stdout: `{"key":"@shop.example","ipv4":"192.0.2.7","helo":"mail.shop.example"}` + "\n"},
			step{args: "route sender import - --service x=2001:db8::1,x.example", stdin: "@x.example x:[hop]\n", stdout: "1 transport by sender and 1 source imported\n"},
			step{args: "route sender import - --service x", stdin: "", status: 2, stderr: "NAME=IP[,IP6][,HELO]"},
			step{args: "route sender import - --master " + l.data + "/nothing", status: 1, stderr: "no such file"},
			step{args: "route sender set @x.example error:4.1.1", status: 1, stderr: "class 5"},
			step{args: "route sender delete @x.example", stdout: "transport for @x.example deleted\n"},
			step{args: "route sender delete @x.example", status: 1, stderr: "not found"},
			step{args: "route sender set default relay: --json", stdout: `{"key":"default","value":"relay:"}` + "\n"},
			step{args: "smarthost import " + passwords, status: 1, stderr: passwords + `:1: "[gw.example]:587": `},
			step{args: "smarthost import " + hosts + " --dry-run --json", stdout: `{"dry_run":true,"smarthosts":2}` + "\n"},
			step{args: "smarthost list", stdout: "no smart hosts\n"},
			step{args: "smarthost import " + hosts, stdout: "2 smart hosts imported\n"},
			step{args: "smarthost list --json", stdout: `{"key":"<>","nexthop":"DUNNO"}` + "\n" + `{"key":"@shop.example","nexthop":"[gw.example]:587"}` + "\n"},
			step{args: "relay import " + passwords, stdout: "1 credential imported\n"},
			step{args: "relay list", stdout: "KEY               USER\n[gw.example]:587  me\n"},
			step{args: "relay import -", stdin: "[gw.example]:587 me\n", status: 1, stderr: `-:1: "[gw.example]:587": a credential needs a user and a password`},
			step{args: "route import - --subdomains", stdin: "a.example hold:\n", stdout: "2 routes imported\n"},
			step{args: "route lookup u@x.a.example", stdout: "hold:\t(route: .a.example)\n"},
		)
	})
}

func TestALongImportDrawsABarWhileItGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var screen strings.Builder
		c := &call{terminal: true, stderr: &screen}
		rows := sites.Import{Routes: make([]sites.Route, progressFrom)}
		end := c.showProgress(&rows)
		rows.Progress(progressFrom / 2)
		time.Sleep(progressPause + time.Millisecond)
		end()
		if want := " 50%  1000 of 2000 rows imported\r\x1b[K"; !strings.HasSuffix(screen.String(), want) {
			t.Errorf("on the screen: %q", screen.String())
		}
	})
	few := sites.Import{Routes: make([]sites.Route, progressFrom-1)}
	(&call{terminal: true}).showProgress(&few)()
	many := sites.Import{Routes: make([]sites.Route, progressFrom)}
	(&call{}).showProgress(&many)()
	if few.Progress != nil || many.Progress != nil {
		t.Error("a bar for few rows, or without a terminal")
	}
}
