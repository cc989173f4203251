package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMailboxesAliasesAndRecipientsAreSetListedAndRemoved(t *testing.T) {
	eachWay(t, func(t *testing.T, l *lab, ids []string) {
		l.steps(ids,
			step{args: "mailbox list", stdout: "no mailboxes\n"},
			step{args: "mailbox add Bob@shop.example --deliver smtp:[store.example]:24 --max-size 10MiB", stdout: "mailbox Bob@shop.example -> smtp:[store.example]:24\n"},
			step{args: "mailbox add @shop.example --deliver smtp:[store.example]:24 --disabled --json", stdout: `{"address":"@shop.example","site":"","deliver":"smtp:[store.example]:24","disabled":true}` + "\n"},
			step{args: "mailbox add ann@shop.example", status: 2, stderr: "--deliver is missing"},
			step{args: "mailbox add ann@shop.example --deliver maildir:../ann", status: 1, stderr: "not below the directory"},
			step{args: "mailbox add ann@shop.example --deliver lmtp:[store.example]:25", status: 1, stderr: "RFC 2033"},
			step{args: "mailbox add ann@else.example --deliver smtp:[store.example]:24", status: 1, stderr: `domain "else.example" not found`},
			step{args: "mailbox list", stdout: "@shop.example  smtp:[store.example]:24  disabled\nbob@shop.example  smtp:[store.example]:24  up to 10MiB\n"},
			step{args: "mailbox list --json --site shop", stdout: `{"address":"@shop.example","site":"shop","deliver":"smtp:[store.example]:24","disabled":true}` + "\n" + `{"address":"bob@shop.example","site":"shop","deliver":"smtp:[store.example]:24","max_size":10485760}` + "\n"},

			step{args: "alias list", stdout: "no aliases\n"},
			step{args: "alias set info@shop.example bob@shop.example,x@out.example y@out.example", stdout: "alias info@shop.example: bob@shop.example, x@out.example, y@out.example\n"},
			step{args: "alias set @shop.example z@out.example --disabled --site shop", stdout: "alias @shop.example: z@out.example\n"},
			step{args: "alias set root admin", stdout: "alias root: admin\n"},
			step{args: "alias set info@shop.example", status: 2, stderr: "usage: panelmail alias set"},
			step{args: "alias set root :include:/etc/all", status: 1, stderr: ":include: is not followed"},
			step{args: "site add other", stdout: "site other added\n"},
			step{args: "alias set info@shop.example x@out.example --site other", status: 1, stderr: `belongs to another site: "shop"`},
			step{args: "alias list", stdout: "# disabled: @shop.example: z@out.example\ninfo@shop.example: bob@shop.example, x@out.example, y@out.example\nroot: admin\n"},
			step{args: "alias list --json --site shop", stdout: `{"alias":"@shop.example","site":"shop","targets":["z@out.example"],"disabled":true}` + "\n" + `{"alias":"info@shop.example","site":"shop","targets":["bob@shop.example","x@out.example","y@out.example"]}` + "\n"},
			step{args: "alias delete INFO@shop.example", stdout: "alias INFO@shop.example deleted\n"},
			step{args: "alias delete INFO@shop.example", status: 1, stderr: `"info@shop.example" not found`},

			step{args: "domain add relay.example --site shop --class relay", stdout: "domain relay.example added to site shop\n"},
			step{args: "domain recipient list", stdout: "no recipients\n"},
			step{args: "domain recipient add a@relay.example b@relay.example", stdout: "2 recipients added\n"},
			step{args: "domain recipient add a@shop.example", status: 1, stderr: "only relay domains"},
			step{args: "domain list --json", stdout: `{"domain":"relay.example","site":"shop","class":"relay","listed":true}` + "\n" + `{"domain":"shop.example","site":"shop","class":"hosted"}` + "\n"},
			step{args: "domain recipient remove a@relay.example", stdout: "recipient a@relay.example removed\n"},
			step{args: "domain recipient list --json", stdout: `{"address":"b@relay.example","site":"shop"}` + "\n"},
			step{args: "domain recipient drop relay.example", stdout: "every address of relay.example is taken\n"},
			step{args: "mailbox remove bob@shop.example", stdout: "mailbox bob@shop.example removed\n"},
			step{args: "mailbox remove bob@shop.example", status: 1, stderr: "not found"},
			step{args: "domain remove shop.example --json", stdout: `{"site":"shop","rows":{"aliases":1,"domains":1,"logins":1,"mailboxes":1}}` + "\n"},
		)
	})
}

func TestAnAliasFileIsImportedWholeOrNotAtAll(t *testing.T) {
	eachWay(t, func(t *testing.T, l *lab, ids []string) {
		file := filepath.Join(l.data, "aliases")
		write := func(text string) {
			t.Helper()
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for _, tt := range []struct{ text, want string }{
			{"a: x@out.example\nlists: |/usr/bin/lists\n", file + `:2: sites: alias "lists" is invalid: target "|/usr/bin/lists": a command is never run by an alias`},
			{"a: x@out.example\nb: /dev/null\nc: :include:/etc/c\n", file + `:3: sites: alias "c" is invalid: target ":include:/etc/c": :include: is not followed`},
			{"a: x@out.example\nu@else.example: x@out.example\n", file + `: sites: domain "else.example" not found`},
		} {
			write(tt.text)
			l.steps(ids,
				step{args: "alias import " + file, status: 1, stderr: tt.want},
				step{args: "alias list", stdout: "no aliases\n"},
			)
		}
		write("# names\nroot: a@shop.example,\n  b@shop.example\nu@shop.example x@out.example\n")
		l.steps(ids,
			step{args: "alias import --site shop " + file, status: 1, stderr: `alias "root" belongs to another site`},
			step{args: "alias import " + file, stdout: "2 aliases imported\n"},
			step{args: "alias import -", stdin: "u@shop.example: y@out.example\n", stdout: "1 alias imported\n"},
			step{args: "alias list", stdout: "root: a@shop.example, b@shop.example\nu@shop.example: y@out.example\n"},
			step{args: "alias import " + file + ".not", status: 1, stderr: "no such file"},
			step{args: "alias import", status: 2, stderr: "usage: panelmail alias import"},
		)
		if err := os.Truncate(file, 32<<20+1); err != nil {
			t.Fatal(err)
		}
		l.steps(ids, step{args: "alias import " + file, status: 1, stderr: file + ": larger than 33554432 octets"})
	})
}

func TestNewaliasesImportsTheFileOfTheConfiguration(t *testing.T) {
	file := filepath.Join(t.TempDir(), "aliases")
	l := newLab(t, `aliases = "`+file+`"`, `origin = "panel.example"`)
	newaliases := func(args ...string) answer {
		var out, problems bytes.Buffer
		status := run(t.Context(), append([]string{"/usr/bin/newaliases", "--data", l.data}, args...), strings.NewReader(""), &out, &problems)
		return answer{status, out.String(), problems.String()}
	}
	for _, tt := range []struct {
		text string
		args []string
		want answer
	}{
		{"", nil, answer{0, "0 aliases imported\n", ""}}, // there is no file
		{"", []string{file}, answer{1, "", "panelmail: open " + file + ": no such file or directory\n"}},
		{"root: admin@out.example\n", nil, answer{0, "1 alias imported\n", ""}},
		{"root: admin@out.example\n", []string{"-v"}, answer{0, "1 alias imported\n", ""}},
		{"root: |cat\n", nil, answer{1, "", "panelmail: " + file + `:1: sites: alias "root" is invalid: target "|cat": a command is never run by an alias` + "\n"}},
	} {
		if tt.text != "" {
			if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := newaliases(tt.args...); got != tt.want {
			t.Errorf("%q %v: %+v, want %+v", tt.text, tt.args, got, tt.want)
		}
	}
	l.steps(nil, step{args: "alias list", stdout: "root: admin@out.example\n"})
}
