package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestASiteIsSuspendedResumedRenamedAndRemoved(t *testing.T) {
	eachWay(t, func(t *testing.T, l *lab, ids []string) {
		l.steps(ids,
			step{args: "site suspend nobody", status: 1, stderr: `site "nobody" not found`},
			step{args: "site suspend shop", stdout: "site shop suspended: its mail is on hold\n"},
			step{args: "site list --json", stdout: `{"name":"shop","uids":[4711],"suspended":true}` + "\n"},
			step{args: "queue release --site shop --recipient u@late.example", status: 1, stdout: "0 messages released\n"},
			step{args: "site rename shop store", stdout: "site shop is now store\n"},
			step{args: "queue hold --dry-run --site shop", status: 1, stdout: "0 messages selected\n"},
			step{args: "site resume store --json", stdout: `{"name":"store","suspended":false}` + "\n"},
			step{args: "queue release --dry-run --site store", stdout: "1 message selected\n"}, // on hold before
			step{args: "site remove nobody", status: 1, stderr: `site "nobody" not found`},
			step{args: "site receipts", status: 1},
		)
		type receipt struct {
			Site, By             string
			Time, Oldest, Newest int64
			Rows                 map[string]int
		}
		parse := func(text string) (r receipt) {
			t.Helper()
			if err := json.Unmarshal([]byte(text), &r); err != nil {
				t.Fatalf("%v in %q", err, text)
			}
			return r
		}
		count := parse(l.do("", "site", "remove", "store", "--dry-run", "--json"))
		got := parse(l.do("", "site", "remove", "store", "--by", "a person", "--json"))
		want := receipt{Site: "store", By: "a person", Time: got.Time, Oldest: got.Oldest, Newest: got.Newest, Rows: got.Rows}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(count.Rows, got.Rows); diff != "" {
			t.Errorf("rows (-counted +removed):\n%s", diff)
		}
		for kind, n := range map[string]int{"messages": 2, "recipients": 3, "domains": 1, "logins": 1, "uids": 1} {
			if got.Rows[kind] != n {
				t.Errorf("%d %s, want %d", got.Rows[kind], kind, n)
			}
		}
		if got.Time == 0 || got.Oldest == 0 || got.Newest < got.Oldest {
			t.Errorf("receipt %+v", got)
		}
		if diff := cmp.Diff(got, parse(l.do("", "site", "receipts", "store", "--json"))); diff != "" {
			t.Errorf("the receipt that is kept (-printed +kept):\n%s", diff)
		}
		if text := l.do("", "site", "receipts"); !strings.HasPrefix(text, "site store removed at ") || !strings.Contains(text, " by a person\n") {
			t.Errorf("receipts: %q", text)
		}
		l.steps(ids,
			step{args: "site list", stdout: "no sites\n"},
		)
	})
}
