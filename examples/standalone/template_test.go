package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// files writes files of a test and returns their directory.
func files(t *testing.T, texts map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range texts {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const (
	goodTemplate = "{{fqdn .Domain}} {{.TTL}} IN MX 10 mail.{{.Zone}}.\n"
	badTemplate  = "{{fqdn .Domain}} {{.TTL}} IN MX 10 mail.{{.Zone}}\n"
	blade        = "{!! ltrim($subdomain.\".\".$zone, \".\") !!}. {!! $ttl !!} IN MX 10 mail.{!! $zone !!}.\n"
)

func TestTemplatesAreSetShownListedAndDeleted(t *testing.T) {
	dir := files(t, map[string]string{"mail.tmpl": goodTemplate, "bad.tmpl": badTemplate, "email.blade.php": blade, "odd.tmpl": "{{"})
	eachWay(t, func(t *testing.T, l *lab, ids []string) {
		l.steps(ids,
			step{args: "template list", stdout: "no templates: the records are compiled from what is in force\n"},
			step{args: "template set default " + dir + "/mail.tmpl", stdout: "template default: mail.tmpl, go, 51 octets\n"},
			step{args: "template set shop " + dir + "/email.blade.php --json", stdout: `{"site":"shop","name":"email.blade.php","syntax":"blade","size":84,"changed":"DATE"}` + "\n"},
			step{args: "template show default", stdout: goodTemplate},
			step{args: "template show shop", stdout: blade},
			step{args: "template delete shop", stdout: "template shop deleted\n"},
			step{args: "template show shop", status: 1, stderr: `template of site "shop" not found`},
			step{args: "template set shop -", stdin: goodTemplate, stdout: "template shop: standard input, go, 51 octets\n"},
			step{args: "template set shop - --syntax blade", stdin: blade, stdout: "template shop: standard input, blade, 84 octets\n"},
			step{args: "template set nobody " + dir + "/mail.tmpl", status: 1, stderr: `site "nobody" not found`},
			step{args: "template set shop " + dir + "/bad.tmpl", status: 1, stderr: "bad.tmpl:1:"},
			step{args: "template set shop " + dir + "/odd.tmpl", status: 1, stderr: "odd.tmpl:1:"},
			step{args: "template set shop " + dir + "/none.tmpl", status: 1, stderr: "none.tmpl: no such file"},
			step{args: "template set shop - --syntax php", stdin: blade, status: 1, stderr: "want go or blade"},
			step{args: "template set shop", status: 2, stderr: "usage: panelmail template set default|SITE FILE"},
			step{args: "template delete default", stdout: "template default deleted\n"},
		)
		list := l.do("", "template", "list")
		if !strings.Contains(list, "shop  standard input  blade   84    20") || strings.Contains(list, "default") {
			t.Errorf("listed:\n%s", list)
		}
		if got := l.run("", "site", "remove", "shop", "--yes"); got.Status != 0 {
			t.Errorf("site remove: %+v", got)
		}
		if list := l.do("", "template", "list"); !strings.HasPrefix(list, "no templates") {
			t.Errorf("after the site went:\n%s", list)
		}
	})
}

func TestATemplateIsValidatedWithoutAServer(t *testing.T) {
	const odd = "{{fqdn .Domain}} 60 IN TXT \"v=spf1 ipv4:192.0.2.1 +all\"\n{{fqdn `_dmarc` .Domain}} 60 IN TXT \"p=none\"\n"
	dir := files(t, map[string]string{"good.tmpl": goodTemplate, "bad.tmpl": "\n" + badTemplate + "$INCLUDE /etc/passwd\n", "email.blade.php": blade})
	l := newLab(t)
	l.steps(nil,
		step{args: "dns validate " + dir + "/good.tmpl", stdout: dir + "/good.tmpl: 1 records for example.com, nothing wrong\n"},
		step{args: "dns validate " + dir + "/email.blade.php", stdout: dir + "/email.blade.php: 1 records for example.com, nothing wrong\n"},
		step{args: "dns validate - --syntax blade", stdin: blade, stdout: "-: 1 records for example.com, nothing wrong\n"},
		step{args: "dns validate - --json", stdin: goodTemplate, stdout: `{"file":"-","valid":true,"records":1,"zones":[` +
			`{"zone":"example.com.","records":[{"name":"example.com.","ttl":43200,"class":"IN","type":"MX","data":"10 mail.example.com.","value":{"preference":10,"host":"mail.example.com."}}]},` +
			`{"zone":"example.com.","records":[{"name":"sub.example.com.","ttl":43200,"class":"IN","type":"MX","data":"10 mail.example.com.","value":{"preference":10,"host":"mail.example.com."}}]}]}` + "\n"},
		step{args: "dns validate -", stdin: odd, stdout: "-: 2 records for example.com, but\n" +
			"warning: the SPF record of example.com. counts for nothing: \"ipv4:192.0.2.1\": there is no mechanism \"ipv4\" (RFC 7208 section 4.6)\n" +
			"warning: the text of _dmarc.example.com. does not begin with v=DMARC1: it is no DMARC record; write v=DMARC1; and then the policy\n"},
		step{args: "dns validate - --json", stdin: "{{if .Subdomain}}{{fqdn .Domain}} 60 IN TXT \"v=spf1 +all\"\n{{end}}", stdout: `{"file":"-","valid":true,"records":0,` +
			`"zones":[{"zone":"example.com.","records":[]},{"zone":"example.com.","records":[{"name":"sub.example.com.","ttl":60,"class":"IN","type":"TXT","data":"\"v=spf1 +all\"","value":{"text":"v=spf1 +all"}}]}],` +
			`"warnings":[{"rule":"spf-all","text":"the SPF record of sub.example.com. lets everybody pass","fix":"~all or -all at the end","record":"sub.example.com. 60 IN TXT \"v=spf1 +all\""}]}` + "\n"},
		step{args: "dns validate " + dir + "/none.tmpl", status: 1, stderr: "none.tmpl: no such file"},
		step{args: "dns validate - ", status: 1, stderr: "it is empty"},
		step{args: "dns validate", status: 2, stderr: "usage: panelmail dns validate FILE"},
	)
	if _, err := os.Stat(filepath.Join(l.data, "panelmail.db")); err == nil {
		t.Error("a database was made")
	}
	got := l.run("", "dns", "validate", dir+"/bad.tmpl")
	lines := strings.Split(got.Stdout, "\n")
	if got.Status != 1 || len(lines) != 3 || !strings.HasPrefix(lines[0], dir+"/bad.tmpl:2:") || !strings.Contains(lines[0], "; write mail.example.com.") ||
		!strings.HasPrefix(lines[1], dir+"/bad.tmpl:3:") || !strings.Contains(lines[1], "$INCLUDE") {
		t.Errorf("bad.tmpl: %+v", got)
	}
	if got := l.run("", "dns", "validate", "--json", dir+"/bad.tmpl"); got.Status != 1 || !strings.Contains(got.Stdout, `"valid":false`) || !strings.Contains(got.Stdout, `"line":3`) {
		t.Errorf("bad.tmpl, JSON: %+v", got)
	}
}
