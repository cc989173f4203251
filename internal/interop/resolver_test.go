package interop_test

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/internal/interop"
	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

// resolverTables are the tables of a Postfix by the names of its parameters.
type resolverTables struct{ transport, senders, relayhosts string }

// randomTables are tables about some hundred worlds, each a top-level domain in
// which every pattern that might matter is there or not.
func randomTables(r *rand.Rand, worlds int) (t resolverTables) {
	var routes, senders, hosts strings.Builder
	row := func(to *strings.Builder, key string, values ...string) {
		if r.IntN(2) == 0 {
			fmt.Fprintf(to, "%s %s\n", key, values[r.IntN(len(values))])
		}
	}
	for w := range worlds {
		d := fmt.Sprintf("w%d.test", w)
		for _, key := range []string{
			"user+ext@a.b." + d, "user@a.b." + d, "+x@a.b." + d, `"a b"@a.b.` + d, "Postmaster@a.b." + d,
			"a.b." + d, ".b." + d, "b." + d, "." + d, d,
		} {
			row(&routes, key, "a:[hop]", "smtp:", "smtp", "b:", ":[only]:26", ":", "error:5.7.1 no", "error:", "retry:", "discard:void",
				"smtp:x.test, [y.test]:587", "relay:[2001:db8::1]:25", "a:host:submission")
		}
		for _, key := range []string{"u+e@" + d, "u@" + d, "@" + d, "." + d, d, "@b." + d, "user" + strconv.Itoa(w)} {
			row(&senders, key, "a:", "b:[bhop]", "DUNNO", "dunno", "relay", "smtp:[shop]:26")
			row(&hosts, key, "[own]:587", "gw.test", "DUNNO", "[a], b.test")
		}
	}
	senders.WriteString("<> b:\n")
	hosts.WriteString("<> [null]\n")
	return resolverTables{routes.String(), senders.String(), hosts.String()}
}

// resolverQuestions are what is asked about the worlds.
func resolverQuestions(worlds int) (all []transport.Query) {
	for w := range worlds {
		d := fmt.Sprintf("w%d.test", w)
		senders := []string{"", "u+e@" + d, "u+f@" + d, "U@" + strings.ToUpper(d), "v@" + d, "v@b." + d, "v@x." + d, fmt.Sprintf("user%d@mx.panel.test", w), "x@none.test"}
		recipients := []string{
			"user+ext@a.b." + d, "user+other@a.b." + d, "User@A.B." + d, "nobody@a.b." + d, "+x@a.b." + d, "a+b+c@a.b." + d,
			"postmaster+x@a.b." + d, "u@c.b." + d, "u@b." + d, "u@" + d, "u@x." + d, "u@x.y." + d, "u@elsewhere.example",
		}
		for i, recipient := range recipients {
			for j := range 3 {
				all = append(all, transport.Query{Sender: senders[(i+j*3+w)%len(senders)], Recipient: recipient})
			}
		}
	}
	return all
}

// A real resolver of Postfix and ours have the same tables, ours by way of the
// importers, and are asked the same.
func TestOurPlannerResolvesAsARealPostfixDoes(t *testing.T) {
	const worlds, hostname = 120, "mx.panel.test"
	tables := randomTables(rand.New(rand.NewPCG(5, 5)), worlds)
	p := resolverOf(t, tables, hostname)
	planner := plannerOf(t, tables, hostname)
	conn, err := net.Dial("unix", filepath.Join(p.Dir, "queue", "private", "rewrite"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	for n, q := range resolverQuestions(worlds) {
		want, err := askResolver(conn, in, n == 0, q)
		if err != nil {
			t.Fatal(err)
		}
		plan, err := planner.Plan(t.Context(), q)
		if err != nil {
			t.Fatalf("%+v: %v", q, err)
		}
		if diff := cmp.Diff(strings.ToLower(want), strings.ToLower(plan.Transport+" "+plan.Nexthop)); diff != "" {
			t.Errorf("%s to %s (-Postfix +ours): %+v\n%s", q.Sender, q.Recipient, plan.Because, diff)
		}
	}
}

// resolverOf starts a Postfix with the tables.
func resolverOf(t *testing.T, tables resolverTables, hostname string) *interop.Postfix {
	t.Helper()
	dir, err := os.MkdirTemp("", "postfix")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := &interop.Postfix{Dir: dir, Main: []string{
		"myhostname = " + hostname, "mydestination = " + hostname, "recipient_delimiter = +", "relayhost = [smart.host]:587",
	}}
	for name, text := range map[string]string{
		"transport_maps": tables.transport, "sender_dependent_default_transport_maps": tables.senders,
		"sender_dependent_relayhost_maps": tables.relayhosts,
	} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		p.Main = append(p.Main, name+" = texthash:"+file)
	}
	interop.RunPostfix(t, p)
	return p
}

// plannerOf is a planner over the tables as they are imported.
func plannerOf(t *testing.T, tables resolverTables, hostname string) *transport.Planner {
	t.Helper()
	q, err := queue.Open(t.Context(), filepath.Join(t.TempDir(), "panelmail.db"), queue.Options{Hostname: hostname})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.Close() })
	s, err := sites.New(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	defs := transport.Builtin()
	for _, name := range []string{"a", "b"} {
		defs[name] = transport.Definition{Name: name, Base: "smtp"}
	}
	s.KnowTransports(defs)
	m := sites.MapReader{Local: hostname, Transports: defs}
	// These match nothing in Postfix, and are errors for the importer.
	useless := func(text string) string {
		var kept strings.Builder
		for line := range strings.Lines(text) {
			key, _, _ := strings.Cut(line, " ")
			if strings.Contains(key, "@") || !strings.Contains(key, ".") {
				kept.WriteString(line)
			}
		}
		return kept.String()
	}
	for _, read := range []func() (sites.Import, error){
		func() (sites.Import, error) { return m.Routes("transport", strings.NewReader(tables.transport)) },
		func() (sites.Import, error) {
			return m.SenderTransports("senders", strings.NewReader(useless(tables.senders)))
		},
		func() (sites.Import, error) {
			return m.SmartHosts("relayhosts", strings.NewReader(useless(tables.relayhosts)))
		},
	} {
		rows, err := read()
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Import(t.Context(), rows); err != nil {
			t.Fatal(err)
		}
	}
	return &transport.Planner{
		Hostname: hostname, Transports: defs, Routes: s, Defaults: transport.RouterFunc(s.SenderRoute),
		SmartHosts: s, SmartHost: "[smart.host]:587",
	}
}

// askResolver asks trivial-rewrite(8) over its own socket, in the protocol of
// Postfix's programs: names and values that end in NUL, and an empty name. A server
// names the protocol first.
func askResolver(conn net.Conn, in *bufio.Reader, first bool, q transport.Query) (answer string, err error) {
	var b bytes.Buffer
	for _, text := range []string{"request", "resolve", "sender", q.Sender, "address", q.Recipient, ""} {
		b.WriteString(text + "\x00")
	}
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return "", err
	}
	if _, err := conn.Write(b.Bytes()); err != nil {
		return "", err
	}
	if first {
		if _, err := attributes(in); err != nil {
			return "", err
		}
	}
	got, err := attributes(in)
	return got["transport"] + " " + got["nexthop"], err
}

// attributes reads one list of names and values.
func attributes(in *bufio.Reader) (map[string]string, error) {
	list := map[string]string{}
	for {
		name, err := in.ReadString(0)
		if err != nil || name == "\x00" {
			return list, err
		}
		value, err := in.ReadString(0)
		if err != nil {
			return nil, err
		}
		list[strings.TrimSuffix(name, "\x00")] = strings.TrimSuffix(value, "\x00")
	}
}
