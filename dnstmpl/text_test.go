package dnstmpl_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/dnstmpl"
)

func TestFunctionsOfTemplates(t *testing.T) {
	data := example()
	data.Vars = map[string]string{"token": `a"b\c`, "empty": ""}
	for _, test := range []struct{ text, want string }{
		{`{{txt "v=spf1 " "-all"}}`, `"v=spf1 -all"`},
		{`{{txt}}`, `""`},
		{`{{txt .Vars.token}}`, `"a\"b\\c"`},
		{`{{txt 1 .TTL true}}`, `"13600true"`},
		{`{{txt "` + strings.Repeat("a", 256) + `"}}`, `"` + strings.Repeat("a", 255) + `" "a"`},
		{`{{fqdn .Subdomain .Zone}}`, `example.com.`},
		{`{{fqdn "mail" .Zone}} {{fqdn "a." ".b."}} {{fqdn}}`, `mail.example.com. a.b. `},
		{`{{range ip4 .IPs}}{{.}} {{end}}{{range ip6 .IPs}}{{.}} {{end}}`, `192.0.2.1 2001:db8::1 `},
		{`{{range .IPs}}{{range ip6 .}}{{.}}{{end}}{{end}}`, `2001:db8::1`},
		{`{{range .IPs}}{{rrtype .}} {{end}}`, `A AAAA `},
		{`{{join "," (list "a" 1 true)}} {{join " " .IPs}}`, `a,1,true 192.0.2.1 2001:db8::1`},
		{`{{lower "AbC"}} {{trim "  x "}} {{trimDot "x.."}} {{replace "a-b-c" "-" "."}}`, `abc x x a.b.c`},
		{`{{default "x" .Vars.empty}} {{default "x" .Vars.token}} {{default 1 0}}`, `x a"b\c 1`},
		{`{{print "a" 1 "b"}} {{printf "%s %03d %q %5s|%-5s|%%" "a" 7 "b" "c" "d"}}`, `a1b a 007 "b"     c|d    |%`},
		{`{{len .IPs}} {{index .IPs 1}} {{slice "abc" 1 2}} {{if and (eq 1 1) (not false)}}y{{end}}`, `2 2001:db8::1 b y`},
		{`{{with $x := .Zone}}{{$x}}{{end}} {{.Domain}}`, `example.com example.com`},
		{"a{{/* gone */}}b\r\n", "ab\r\n"},
		{``, ``},
	} {
		tmpl, err := dnstmpl.Parse("t", test.text)
		if err != nil {
			t.Error(err)
			continue
		}
		got, err := tmpl.Text(data)
		if err != nil || got != test.want {
			t.Errorf("%s\n got %q, %v\nwant %q", test.text, got, err, test.want)
		}
	}
}

func TestAFaultInATemplateIsToldWithItsPlace(t *testing.T) {
	for _, test := range []struct{ name, text, message string }{
		{"an action without an end", "a\n{{if .Zone}}\n", `mail.tmpl:3: unexpected EOF`},
		{"a bad character", "a\n{{.Zone ^}}\n", "mail.tmpl:2: unexpected \"^\" in operand"},
		{"a function that there is not", "\n {{.Zone | frobnicate}}", `mail.tmpl:2: function "frobnicate" not defined`},
		{"a function that is not for templates", "\n {{.Zone | js}}{{html .Zone}}",
			"mail.tmpl:2:12: the function \"js\" is not one that templates have; write one of and default eq fqdn ge gt index ip4 ip6 join le len list lower lt ne not or print printf replace rrtype slice trim trimDot txt\n" +
				"mail.tmpl:2:18: the function \"html\" is not one that templates have; write one of and default eq fqdn ge gt index ip4 ip6 join le len list lower lt ne not or print printf replace rrtype slice trim trimDot txt"},
		{"a function of ours", "{{step 1 1 1 true}}",
			"mail.tmpl:1:3: the function \"step\" is not one that templates have; write one of and default eq fqdn ge gt index ip4 ip6 join le len list lower lt ne not or print printf replace rrtype slice trim trimDot txt"},
		{"a field that data does not have", "\n\nx {{.Domains}}", `mail.tmpl:3:5: at <.Domains>: can't evaluate field Domains in type dnstmpl.Data`},
		{"a variable that the panel does not have", "{{.Vars.account}}", `mail.tmpl:1:8: at <.Vars.account>: map has no entry for key "account"`},
		{"no addresses for ip4", "{{ip4 .Zone}}", `mail.tmpl:1:3: at <ip4 .Zone>: error calling ip4: wants IP addresses, such as .IPs`},
		{"no list for join", `{{join "," .Zone}}`, `mail.tmpl:1:3: at <join "," .Zone>: error calling join: wants a list`},
		{"a list of lists", `{{list .IPs}}`, `mail.tmpl:1:3: at <list .IPs>: error calling list: a list is of strings, numbers and addresses, not of []netip.Addr`},
		{"a wide printf", `{{printf "%1000d" 1}}`, `mail.tmpl:1:3: at <printf "%1000d" 1>: error calling printf: printf takes %s, %d, %v, %q, %x, %t and %c, with widths up to 99`},
		{"printf with arguments by number", `{{printf "%[1]s%[1]s" "a"}}`, `mail.tmpl:1:3: at <printf "%[1]s%[1]s" "a">: error calling printf: printf takes %s, %d, %v, %q, %x, %t and %c, with widths up to 99`},
		{"a template that calls itself", `{{define "a"}}{{template "b"}}{{end}}` + "\n" + `{{define "b"}}{{template "a"}}{{end}}{{template "a"}}`,
			`mail.tmpl:2:15: the template "a" calls itself; write a loop over a list`},
		{"a template that there is not", "\n{{template \"a\"}}", `mail.tmpl:2:12: at <{{template "a"}}>: template "a" not defined`},
		{"a loop without an end", "\n{{range 1000000000}}{{end}}", `mail.tmpl:2:1: the template takes more than 50000 steps`},
		{"loops in loops", "{{range 1000}}{{range 1000}}{{/* nothing */}}{{end}}{{end}}", `mail.tmpl:1:29: the template takes more than 50000 steps`},
		{"methods in a loop", "{{range 1000}}{{$x := $.SPFRecords}}{{end}}", `mail.tmpl:1:15: the template takes more than 50000 steps`},
		{"too much text", "{{range 100000}}\n0123456789012345678901234567890{{end}}", `mail.tmpl:1:17: the template writes more than 1048576 octets`},
		{"a string that doubles", `{{$x := "0123456789"}}{{range 40}}{{$x = print $x $x}}{{end}}`, `mail.tmpl:1:42: strings are limited to 65536 octets each and 8388608 together`},
		{"replacements that multiply", `{{$x := "aaaaaaaaaa"}}{{range 40}}{{$x = replace $x "a" "aaaaaaaaaa"}}{{end}}`, `mail.tmpl:1:42: strings are limited to 65536 octets each and 8388608 together`},
		{"a name of many long labels", `{{$x := printf "%99s" "a"}}{{$x = print $x $x $x $x $x $x}}{{$x = print $x $x $x $x $x $x}}{{fqdn` + strings.Repeat(" $x", 40_000) + "}}", `mail.tmpl:1:94: strings are limited to 65536 octets each and 8388608 together`},
		{"printf of many long strings", `{{$x := printf "%99s" "a"}}{{$x = print $x $x $x $x $x $x}}{{$x = print $x $x $x $x $x $x}}{{printf "%s"` + strings.Repeat(" $x", 40_000) + "}}", `mail.tmpl:1:94: strings are limited to 65536 octets each and 8388608 together`},
		{"many long strings", `{{$x := printf "%99s%99s%99s%99s" "a" "a" "a" "a"}}{{range 100000}}{{$y := print $x $x $x $x}}{{end}}`, `mail.tmpl:1:76: strings are limited to 65536 octets each and 8388608 together`},
		{"too long", strings.Repeat("\n", 256<<10+1), `mail.tmpl:262145:1: a template has 262144 octets at most; write a shorter one`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if slow := strings.Contains(test.message, "limited") || strings.Contains(test.message, "more than"); slow && testing.Short() {
				t.Skip("it takes its time to reach the limit; not with -short")
			}
			tmpl, err := dnstmpl.Parse("mail.tmpl", test.text)
			if err == nil {
				_, err = tmpl.Render(example())
			}
			if err == nil || err.Error() != test.message {
				t.Errorf("got\n%.2000v\nwant\n%s", err, test.message)
			}
		})
	}
}

func TestATemplateThatIsAllNestingEnds(t *testing.T) {
	if testing.Short() {
		t.Skip("spends its time in text/template; not with -short")
	}
	for _, text := range []string{
		strings.Repeat("{{if 1}}", 5_000) + strings.Repeat("{{end}}", 5_000),
		strings.Repeat("{{with 1}}{{range 2}}", 20) + strings.Repeat("{{end}}{{end}}", 20),
		"{{" + strings.Repeat("(", 100_000) + "1" + strings.Repeat(")", 100_000) + "}}",
		"{{" + strings.Repeat("not (", 20_000) + "1" + strings.Repeat(")", 20_000) + "}}",
		strings.Repeat("{{/*", 50_000),
		strings.Repeat(`{{define "x"}}`, 5_000),
		chain(3_000),
	} {
		tmpl, err := dnstmpl.Parse("mail.tmpl", text)
		if err == nil {
			_, err = tmpl.Render(example())
		}
		if _, ok := err.(dnstmpl.Problems); err != nil && !ok {
			t.Errorf("%.40s: %v", text, err)
		}
	}
}

// chain is templates of which each calls the next one.
func chain(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "{{define \"%d\"}}{{template \"%d\"}}{{end}}", i, i+1)
	}
	return b.String() + `{{template "0"}}`
}

func TestProblemsAreToldAllAtOnceInTheOrderOfLines(t *testing.T) {
	tmpl, err := dnstmpl.Parse("mail.tmpl", `
{{range .IPs}}{{$.Zone}}. 60 IN MX 10 {{.}}
{{end -}}
{{.Zone}}. 60 IN TXT "v=spf1 -all"
{{.Zone}}. 60 IN A {{index .IPs 0}}
{{.Zone}}. 60 IN TXT "v=spf1 ~all"
{{.Zone}}. 61 IN TXT "x"
mail.{{.Zone}} 60 IN A {{index .IPs 0}}`)
	if err != nil {
		t.Fatal(err)
	}
	_, err = tmpl.Render(example())
	const want = `mail.tmpl:2:39: MX has an address where a name belongs: 192.0.2.1; write the name of a host, and its address in an A or AAAA record
mail.tmpl:2:39: MX has an address where a name belongs: 2001:db8::1; write the name of a host, and its address in an A or AAAA record
mail.tmpl:6:1: a second SPF record at example.com., after line 4: with two of them neither counts; write one record that says what both say
mail.tmpl:7:1: the TXT records of example.com. have different TTLs, 60 in line 4 and 61 here; write 60 in all of them
mail.tmpl:8:15: the name "mail.example.com" has no final dot; write mail.example.com.`
	if err == nil {
		t.Fatal("no error")
	}
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Error(diff)
	}
}

func TestATemplateOfMistakesEndsInAHundredProblems(t *testing.T) {
	for name, text := range map[string]string{
		"lines":      strings.Repeat("x\n", 100_000),
		"duplicates": strings.Repeat("example.com. 60 IN TXT \"v=spf1\"\n", 1000),
	} {
		tmpl, err := dnstmpl.Parse("mail.tmpl", text)
		if err != nil {
			t.Fatal(err)
		}
		_, err = tmpl.Render(example())
		if problems, ok := err.(dnstmpl.Problems); !ok || len(problems) != 100 || problems[99].Line > 101 {
			t.Errorf("%s: got %.200v", name, err)
		}
	}
}

func TestATemplateIsRenderedByManyAtOnce(t *testing.T) {
	tmpl, err := dnstmpl.Parse("hosting.tmpl", hosting)
	if err != nil {
		t.Fatal(err)
	}
	zones := make(chan string)
	for i := range 8 {
		go func() {
			data := example()
			data.IPs = append(data.IPs, netip.AddrFrom4([4]byte{192, 0, 2, byte(100 + i)}))
			z, err := tmpl.Render(data)
			if err != nil {
				t.Error(err)
			}
			zones <- z.String()
		}()
	}
	seen := map[string]bool{}
	for range 8 {
		seen[<-zones] = true
	}
	if len(seen) != 8 {
		t.Errorf("%d zones are different from one another, of 8", len(seen))
	}
}
