package dnstmpl

import (
	"fmt"
	"regexp"
	"strings"
)

// A Panel is a hosting panel whose templates of DNS records [Import] converts.
type Panel string

// The panels, and what is converted of theirs.
const (
	CPanel      Panel = "cpanel"      // zone templates: a zone file with %domain%
	DirectAdmin Panel = "directadmin" // dns_a.conf, dns_mx.conf and so on: name=value with |DOMAIN|
	Hestia      Panel = "hestia"      // templates of HestiaCP and VestaCP: RECORD='@' TYPE='A' VALUE='%ip%'
	ISPConfig   Panel = "ispconfig"   // templates with [DNS_RECORDS]: A|{DOMAIN}.|{IP}|0|3600
	OpenPanel   Panel = "openpanel"   // zone templates: a zone file with {domain}
	Plesk       Panel = "plesk"       // the list of its template: <domain>. A <ip>
)

// Panels are all panels that Import knows.
func Panels() []Panel { return []Panel{CPanel, DirectAdmin, Hestia, ISPConfig, OpenPanel, Plesk} }

// Import converts another panel's template into one for [Parse], as far as it can.
// The report has what it left out and what it could not know, with the line of the
// old template, in the order of lines; an empty report says that nothing is lost. The
// formats are read as the panels document them, not as each of their versions writes
// them, so look at what a converted template makes before it is used.
//
//   - Each record gets its whole name with a final dot, its TTL ({{.TTL}} if it
//     has none) and its class.
//   - The domain becomes {{.Domain}}, also where names are relative to it, and the
//     server's name {{.Hostname}}. A record with the server's address becomes one for
//     each address of Data.IPs in its family, ip4: and ip6: in text likewise: none if
//     there is no such address.
//   - Any other placeholder becomes {{.Vars.name}}, and is reported once: rendering
//     fails until Data.Vars has it.
//   - SOA and NS records are the DNS provider's and are left out, as are suspended
//     records, those of types that are not known here, conditions, and programs that
//     DirectAdmin would run.
//
// name is that of the old template. DirectAdmin has a file for each type and its name
// tells which, such as dns_mx.conf. The error is Problems: a panel that is not known, a
// name of DirectAdmin's that tells no type, or a text that is too long.
func Import(panel Panel, name, text string) (template string, report Problems, err error) {
	if err := checkSource(name, text); err != nil {
		return "", nil, err
	}
	im := &importer{panel: panel, file: name, known: map[string]bool{}}
	read := map[Panel]func(lines []string){
		CPanel: im.zoneFile, OpenPanel: im.zoneFile, DirectAdmin: im.directAdmin,
		Hestia: im.hestia, ISPConfig: im.ispconfig, Plesk: im.plesk,
	}[panel]
	if read == nil {
		return "", nil, Problems{{File: name, Rule: RuleImport, Text: fmt.Sprintf("the panel %q is not known", panel), Fix: fmt.Sprintf("one of %v", Panels())}}
	}
	if kind := directAdminType(name); panel == DirectAdmin && !knownType(kind) {
		return "", nil, Problems{{File: name, Rule: RuleImport, Text: "the name of the file does not tell the type of its records", Fix: "a name such as dns_mx.conf"}}
	}
	read(strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n"))
	return im.out.String(), im.report, nil
}

// An importer converts one template.
type importer struct {
	panel  Panel
	file   string
	line   int // being read, from 1
	out    strings.Builder
	report Problems
	ttl    string            // of records without their own, as written
	set    map[string]string // placeholders that the old template sets itself
	known  map[string]bool   // variables that are reported
}

// note reports something about the line being read.
func (im *importer) note(text, fix string) {
	im.report = append(im.report, Problem{File: im.file, Line: im.line, Rule: RuleImport, Text: text, Fix: fix})
}

// An oldRecord is a record as another panel writes it, with its placeholders.
type oldRecord struct {
	owner, ttl, kind string
	data             []string // fields; of TXT the text without quotes
}

// record writes a record.
func (im *importer) record(r oldRecord) {
	r.kind = strings.ToUpper(r.kind)
	switch {
	case r.kind == "SOA" || r.kind == "NS":
		im.note(r.kind+" records are the DNS provider's: this one is left out", "")
		return
	case !knownType(r.kind):
		im.note(fmt.Sprintf("records of the type %.40q are not known here: this one is left out", r.kind), "")
		return
	case len(r.data) == 0:
		im.note("the record has no data and is left out", "")
		return
	}
	owner, ttl := im.host(r.owner, true), "{{$.TTL}}"
	if r.ttl == "" {
		r.ttl = im.ttl
	}
	if r.ttl != "" {
		ttl = im.expand(r.ttl)
	}
	head := fmt.Sprintf("%s %s IN %s ", owner, ttl, r.kind)
	if list := im.addresses(r); list != "" {
		fmt.Fprintf(&im.out, "{{range %s}}%s{{.}}\n{{end}}", list, head)
		return
	}
	im.out.WriteString(head + im.data(r) + "\n")
}

// addresses is the list that the data of an address record stands for, or "".
func (im *importer) addresses(r oldRecord) string {
	parts := im.parts(r.data[0])
	if len(r.data) > 1 || len(parts) != 1 {
		return ""
	}
	switch list := addressList(parts[0].name); {
	case list == "":
		return ""
	case r.kind == "AAAA":
		return "ip6 $.IPs"
	case r.kind == "A":
		return "ip4 $.IPs"
	}
	return ""
}

// data is the data of a record. The last field of a record that names a host is
// the host.
func (im *importer) data(r oldRecord) string {
	fields := make([]string, len(r.data))
	for i, field := range r.data {
		fields[i] = im.expand(field)
	}
	switch r.kind {
	case "MX", "CNAME", "SRV", "PTR", "DNAME":
		last := len(fields) - 1
		fields[last] = im.host(r.data[last], false)
	case "TXT":
		return im.text(strings.Join(r.data, ""))
	}
	return strings.Join(fields, " ")
}

// host is a name with a final dot. One that is written without is relative to the
// domain, except with Plesk, and except with Hestia where it does not own the record.
func (im *importer) host(name string, owner bool) string {
	const domain = "{{$.Domain}}."
	switch {
	case name == "@" || name == "":
		return domain
	case strings.HasSuffix(name, "."):
		return im.expand(name)
	case im.panel == Plesk, im.panel == Hestia && !owner:
		return im.expand(name) + "."
	}
	return im.expand(name) + "." + domain
}

// text is the data of a TXT record: a call of txt, which quotes and splits it.
func (im *importer) text(s string) string {
	var args []string
	for parts := im.parts(s); len(parts) > 0; parts = parts[1:] {
		if parts[0].name != "" {
			args = append(args, "("+im.expression(parts[0].name)+")")
			continue
		}
		before, terms := networks(parts)
		if before != "" || terms == "" {
			args = append(args, fmt.Sprintf("%q", before))
		}
		if terms != "" {
			args, parts = append(args, terms), parts[1:]
		}
	}
	return "{{txt " + strings.Join(args, " ") + "}}"
}

// addressTerm is how a term of SPF begins that wants an address.
var addressTerm = regexp.MustCompile(`(?:^| +)([-+~?]?(ip[46]):)$`)

// networks cuts a term of SPF with an address for a placeholder off the end of the
// literal at the head of parts. What takes its place is a term for each address; an
// ip4: without one would make the whole record worthless.
func networks(parts []part) (before, terms string) {
	text := parts[0].literal
	m := addressTerm.FindStringSubmatch(text)
	if m == nil || len(parts) < 2 || len(parts) > 2 && !strings.HasPrefix(parts[2].literal, " ") {
		return text, ""
	}
	list := addressList(parts[1].name)
	if !strings.HasPrefix(list, m[2]) {
		return text, ""
	}
	each := fmt.Sprintf(`(default "" (and (%[1]s) (print %[2]q (join %[3]q (%[1]s)))))`, list, m[0], " "+m[1])
	return strings.TrimSuffix(text, m[0]), each
}

// expand is a text with its placeholders as actions.
func (im *importer) expand(s string) string {
	var b strings.Builder
	for _, p := range im.parts(s) {
		if p.name != "" {
			b.WriteString("{{" + im.expression(p.name) + "}}")
			continue
		}
		b.WriteString(strings.ReplaceAll(p.literal, "{", `{{"{"}}`))
	}
	return b.String()
}

// A part of a text is literal or, if it has a name, a placeholder.
type part struct{ literal, name string }

// placeholders are the forms in which panels write them.
var placeholders = map[Panel]*regexp.Regexp{
	CPanel:      regexp.MustCompile(`%(\w+)%`),
	Hestia:      regexp.MustCompile(`%(\w+)%`),
	DirectAdmin: regexp.MustCompile(`\|(\w+)\|`),
	Plesk:       regexp.MustCompile(`<([\w.]+)>`),
	ISPConfig:   regexp.MustCompile(`\{(\w+)\}`),
	OpenPanel:   regexp.MustCompile(`\{(\w+)\}`),
}

func (im *importer) parts(s string) []part {
	var parts []part
	at := 0
	for _, m := range placeholders[im.panel].FindAllStringSubmatchIndex(s, -1) {
		if m[0] > at {
			parts = append(parts, part{literal: s[at:m[0]]})
		}
		name := s[m[2]:m[3]]
		if value, ok := im.set[name]; ok {
			parts = append(parts, part{literal: value})
		} else {
			parts = append(parts, part{name: strings.ToLower(name)})
		}
		at = m[1]
	}
	if at < len(s) || len(parts) == 0 {
		parts = append(parts, part{literal: s[at:]})
	}
	return parts
}

// addressList is the addresses that a placeholder stands for, or "".
func addressList(name string) string {
	family, _, _ := strings.Cut(name, ".")
	switch family {
	case "ip", "ftpip", "server_ip":
		return "ip4 $.IPs"
	case "ipv6":
		return "ip6 $.IPs"
	}
	return ""
}

// expression is what stands for a placeholder.
func (im *importer) expression(name string) string {
	switch name {
	case "domain", "maildomain":
		return "$.Domain"
	case "hostname":
		return "$.Hostname"
	case "ttl", "nsttl":
		return "$.TTL"
	}
	if list := addressList(name); list != "" {
		return "index (" + list + ") 0"
	}
	variable := strings.ReplaceAll(name, ".", "_")
	if strings.IndexByte("0123456789", name[0]) >= 0 {
		variable = "_" + variable
	}
	if !im.known[variable] {
		im.known[variable] = true
		im.note(fmt.Sprintf("what %s stands for is not known here", name), fmt.Sprintf("its value as %q into Vars", variable))
	}
	return "$.Vars." + variable
}
