package dnstmpl

import (
	"path/filepath"
	"regexp"
	"strings"
)

// zoneFile reads a zone file (RFC 1035 section 5.1).
func (im *importer) zoneFile(lines []string) {
	owner, open := "", false
	for i, line := range lines {
		im.line = i + 1
		words := words(line)
		switch {
		case open:
			open = !strings.Contains(line, ")")
			continue
		case len(words) == 0:
			continue
		case strings.HasPrefix(words[0], "$"):
			im.directive(words)
			continue
		}
		if blank := strings.TrimLeft(line, " \t"); blank == line {
			owner, words = words[0], words[1:]
		}
		r := oldRecord{owner: owner}
		for len(words) > 0 && r.kind == "" {
			switch word := strings.ToUpper(words[0]); {
			case word == "IN":
			case isTTL(words[0]) || strings.HasSuffix(strings.Trim(strings.ToLower(words[0]), "%{}"), "ttl"):
				r.ttl = words[0]
			default:
				r.kind = word
			}
			words = words[1:]
		}
		r.data = words
		if r.kind == "TXT" {
			r.data = []string{unquoted(strings.Join(words, " "))}
		}
		if strings.EqualFold(r.kind, "SOA") {
			open = strings.Contains(line, "(") && !strings.Contains(line, ")")
		}
		im.record(r)
	}
}

// directive reads $TTL; the others are left out.
func (im *importer) directive(words []string) {
	if words[0] == "$TTL" && len(words) > 1 {
		im.ttl = words[1]
		return
	}
	im.note(words[0]+" is left out", "whole names, and records in the template itself")
}

func isTTL(word string) bool { return word != "" && strings.Trim(word, "0123456789") == "" }

// words cuts a line at its blanks, up to a comment. A string in quotes is a word.
func words(line string) []string {
	list, _, bad := fields(line)
	if bad != nil {
		return strings.Fields(line)
	}
	out := make([]string, len(list))
	for i, f := range list {
		out[i] = f.raw
	}
	return out
}

// unquoted is the text of a TXT record, with quotes or without.
func unquoted(s string) string {
	list, _, bad := fields(s)
	if !strings.HasPrefix(s, `"`) || bad != nil {
		return s
	}
	var text strings.Builder
	for _, f := range list {
		text.WriteString(f.text)
	}
	return text.String()
}

// hestia reads lines of KEY='value'.
func (im *importer) hestia(lines []string) {
	pair := regexp.MustCompile(`(\w+)='([^']*)'`)
	for i, line := range lines {
		im.line = i + 1
		values := map[string]string{}
		for _, m := range pair.FindAllStringSubmatch(line, -1) {
			values[m[1]] = m[2]
		}
		switch {
		case strings.TrimSpace(line) == "":
			continue
		case values["TYPE"] == "":
			im.note("the line has no TYPE and is left out", "")
			continue
		case values["SUSPENDED"] == "yes":
			im.note("the record is suspended and is left out", "")
			continue
		}
		r := oldRecord{owner: values["RECORD"], ttl: values["TTL"], kind: values["TYPE"], data: words(values["VALUE"])}
		if r.kind == "TXT" {
			r.data = []string{unquoted(values["VALUE"])}
		}
		if r.kind == "MX" || r.kind == "SRV" {
			r.data = append([]string{values["PRIORITY"]}, r.data...)
		}
		im.record(r)
	}
}

// ispconfig reads the lines TYPE|name|data|aux|ttl behind [DNS_RECORDS].
func (im *importer) ispconfig(lines []string) {
	records := false
	for i, line := range lines {
		im.line = i + 1
		line = strings.TrimSpace(line)
		values := strings.Split(line, "|")
		switch {
		case strings.HasPrefix(line, "["):
			if records = line == "[DNS_RECORDS]"; !records {
				im.note(line+" is about the zone and is left out", "")
			}
		case !records || line == "":
		case len(values) < 3:
			im.note("the line is not TYPE|name|data|aux|ttl and is left out", "")
		default:
			values = append(values, "", "")
			r := oldRecord{owner: values[1], ttl: values[4], kind: values[0], data: words(values[2])}
			if r.kind == "TXT" {
				r.data = []string{unquoted(values[2])}
			}
			if r.kind == "MX" || r.kind == "SRV" {
				r.data = append([]string{values[3]}, r.data...)
			}
			im.record(r)
		}
	}
}

// plesk reads lines with a host, a type and a value; the preference of an MX record
// is behind the type, in parentheses or not.
func (im *importer) plesk(lines []string) {
	row := regexp.MustCompile(`^(\S+)\s+(?:IN\s+)?([A-Za-z]+)\s*(?:\(([\d ]+)\))?\s+(.+)$`)
	for i, line := range lines {
		im.line = i + 1
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		m := row.FindStringSubmatch(line)
		if m == nil {
			im.note("the line is not a host, a type and a value, and is left out", "")
			continue
		}
		r := oldRecord{owner: m[1], kind: strings.ToUpper(m[2]), data: append(strings.Fields(m[3]), words(m[4])...)}
		if r.kind == "TXT" {
			r.data = []string{unquoted(m[4])}
		}
		im.record(r)
	}
}

// directAdminType is the type of the records in a file, or whatever else its name says.
func directAdminType(name string) string {
	return strings.ToUpper(strings.TrimSuffix(strings.TrimPrefix(filepath.Base(name), "dns_"), ".conf"))
}

// directAdmin reads lines of name=value. In an MX file the name is the host, and
// the value its preference.
func (im *importer) directAdmin(lines []string) {
	kind := directAdminType(im.file)
	assignment := regexp.MustCompile(`^\|\?(\w+)=(.*)\|$`)
	im.set = map[string]string{}
	until := "" // what ends the lines that are left out
	for i, line := range lines {
		im.line = i + 1
		line = strings.TrimSpace(line)
		name, value, ok := strings.Cut(line, "=")
		m := assignment.FindStringSubmatch(line)
		switch {
		case until != "":
			if line == until {
				until = ""
			}
		case line == "" || line == "|*endif|":
		case strings.HasPrefix(line, "|$"):
			im.note("a program is not run: what it would write is left out", "its records into the template")
			until = "DONE|"
		case strings.HasPrefix(line, "|*if IS_IPV6"), line == "|*else|":
			im.note("whether there is IPv6 is seen from the addresses: the condition is left out, not its records", "")
		case strings.HasPrefix(line, "|*if"):
			im.note("the condition and its records are left out", "{{if …}} with what decides in Vars")
			until = "|*endif|"
		case m != nil:
			im.set[m[1]] = m[2]
		case !ok:
			im.note("the line is not name=value and is left out", "")
		case kind == "MX":
			im.record(oldRecord{owner: "@", kind: kind, data: []string{value, name}})
		case kind == "TXT":
			im.record(oldRecord{owner: name, kind: kind, data: []string{unquoted(value)}})
		default:
			im.record(oldRecord{owner: name, kind: kind, data: words(value)})
		}
	}
}
