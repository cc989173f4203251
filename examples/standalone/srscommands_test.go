package main

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestSendersAreRewrittenAndFoundAgain(t *testing.T) {
	eachWay(t, func(t *testing.T, l *lab, ids []string) {
		l.steps(ids, step{args: "srs list", stdout: "RING     ID  SINCE                 REPLACED  VERIFIES UNTIL\ndefault  1   DATE  -         -\n"})
		address := strings.TrimSpace(l.do("", "srs", "forward", "alice@far.example"))
		if !strings.HasPrefix(address, "SRS0=") || !strings.HasSuffix(address, "=far.example=alice@mail.panel.example") {
			t.Fatalf("address %s", address)
		}
		own := strings.TrimSpace(l.do("", "srs", "forward", "alice@far.example", "--domain", "shop.example"))
		var answer struct{ Address, Rewritten string }
		if err := json.Unmarshal([]byte(l.do("", "srs", "forward", "alice@far.example", "--json")), &answer); err != nil || answer.Rewritten != address {
			t.Errorf("with --json: %+v, %v; want %s", answer, err, address)
		}
		l.steps(ids,
			step{args: "srs forward me@shop.example", stdout: "me@shop.example\n"},
			step{args: "srs forward far.example", status: 1, stderr: "srs: malformed address"},
			step{args: "srs reverse " + address, stdout: "alice@far.example\n"},
			step{args: "srs reverse " + strings.ToLower(address) + " --json", stdout: `{"address":"` + strings.ToLower(address) + `","original":"alice@far.example"}` + "\n"},
			step{args: "srs reverse " + own, stdout: "alice@far.example\n"},
			step{args: "srs reverse " + strings.Replace(own, "@shop.example", "@mail.panel.example", 1), status: 1, stderr: "srs: the hash is not of any secret"},
			step{args: "srs reverse me@shop.example", status: 1, stderr: "srs: not an SRS address"},

			step{args: "srs rotate", stdout: "secret 2 of default signs; the old ones verify for 23 days more\n"},
			step{args: "srs rotate --site shop --json", stdout: `{"id":3,"site":"shop","created":DATE}` + "\n"},
			step{args: "srs rotate --site none", status: 1, stderr: `site "none" not found`},
			step{args: "srs list", stdout: "RING     ID  SINCE                 REPLACED              VERIFIES UNTIL\n" +
				"default  2   DATE  -                     -\ndefault  1   DATE  DATE  DATE\nshop     3   DATE  -                     -\n"},
			step{args: "srs list --json", stdout: `{"id":2,"created":DATE}` + "\n" +
				`{"id":1,"created":DATE,"replaced":DATE,"until":DATE}` + "\n" + `{"id":3,"site":"shop","created":DATE}` + "\n"},
			step{args: "srs reverse " + address, stdout: "alice@far.example\n"},
			step{args: "srs reverse " + own, stdout: "alice@far.example\n"},
			step{args: "srs share shop", stdout: "site shop shares the secrets of all others\n"},
			step{args: "srs share shop", status: 1, stderr: "not found"},
			step{args: "srs rotate --forget", stdout: "secret 4 of default signs; the old ones are forgotten\n"},
			step{args: "srs reverse " + address, status: 1, stderr: "srs: the hash is not of any secret"},
			step{args: "srs rotate now", status: 2, stderr: "usage: panelmail srs rotate"},
		)
	})
}
