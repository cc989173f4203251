package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/panelmail/panelmail/mailcore/sites"
)

// importCommands take over the tables of a Postfix.
func importCommands() []command {
	return []command{
		{name: "route import", args: "FILE [--subdomains] [--dry-run]", short: "add the entries of a transport(5) file, all or none; --subdomains if domains stand for their subdomains there", run: routeImport, prepare: readMap},
		{name: "route sender import", args: "FILE [--master FILE|DIR]... [--service NAME=IP[,IP6][,HELO]]... [--dry-run]", short: "add the transports of a sender_dependent_default_transport_maps file; services of a master.cf become sources", run: senderRouteImport, prepare: readSenderMap},
		{name: "smarthost import", args: "FILE [--dry-run]", short: "add the smart hosts of a sender_dependent_relayhost_maps file", run: smartHostImport, prepare: readMap},
		{name: "relay import", args: "FILE [--dry-run]", short: "add the credentials of a smtp_sasl_password_maps file", run: relayImport, prepare: readMap},
	}
}

// mapFlags is the command line of an import.
type mapFlags struct {
	file               string
	dryRun, subdomains bool
	master             []string        // where services are read from
	services           []sites.Service // by --service
}

func (c *call) mapFlags() (f mapFlags, err error) {
	words, err := c.parse(1, 1, func(fs *flag.FlagSet) {
		fs.BoolVar(&f.dryRun, "dry-run", false, "")
		switch c.command.name {
		case "route import":
			fs.BoolVar(&f.subdomains, "subdomains", false, "")
		case "route sender import":
			fs.Func("master", "", func(name string) error { f.master = append(f.master, name); return nil })
			fs.Func("service", "", func(text string) error {
				s, err := parseServiceFlag(text)
				f.services = append(f.services, s)
				return err
			})
		}
	})
	if err != nil {
		return f, err
	}
	f.file = words[0]
	return f, nil
}

// parseServiceFlag reads NAME=IP[,IP6][,HELO], of which one behind the name is
// enough.
func parseServiceFlag(text string) (s sites.Service, err error) {
	name, parts, ok := strings.Cut(text, "=")
	if s.Name = name; !ok || name == "" || parts == "" {
		return s, fmt.Errorf("%q is not NAME=IP[,IP6][,HELO]", text)
	}
	for part := range strings.SplitSeq(parts, ",") {
		ip, err := netip.ParseAddr(part)
		switch {
		case err == nil && ip.Is4():
			s.IPv4 = ip
		case err == nil:
			s.IPv6 = ip
		default:
			s.HELO = part
		}
	}
	return s, nil
}

// serviceFlag is a service as parseServiceFlag reads it.
func serviceFlag(s sites.Service) string {
	var parts []string
	for _, ip := range []netip.Addr{s.IPv4, s.IPv6} {
		if ip.IsValid() {
			parts = append(parts, ip.String())
		}
	}
	if s.HELO != "" {
		parts = append(parts, s.HELO)
	}
	return s.Name + "=" + strings.Join(parts, ",")
}

// readMap reads the file where the user is, for the server may be elsewhere.
func readMap(a *app, cmd command, args []string) ([]string, error) {
	f, err := (&call{command: cmd, args: args}).mapFlags()
	if err != nil {
		return nil, err
	}
	text, err := readFile(a.stdin, f.file, maxStdin)
	a.stdin = bytes.NewReader(text)
	return args, err
}

// readSenderMap is readMap, which puts services in place of the files that they are
// in.
func readSenderMap(a *app, cmd command, args []string) ([]string, error) {
	f, err := (&call{command: cmd, args: args}).mapFlags()
	if err != nil {
		return nil, err
	}
	rest := []string{f.file}
	if f.dryRun {
		rest = append(rest, "--dry-run")
	}
	for _, name := range f.master {
		services, err := readServices(a.stderr, name)
		if err != nil {
			return nil, err
		}
		f.services = append(f.services, services...)
	}
	for _, s := range f.services {
		rest = append(rest, "--service", serviceFlag(s))
	}
	return readMap(a, cmd, rest)
}

// readServices reads a master.cf, or what ends in .cf in a directory.
func readServices(stderr io.Writer, name string) (all []sites.Service, err error) {
	files := []string{name}
	if info, err := os.Stat(name); err != nil {
		return nil, err
	} else if info.IsDir() {
		if files, err = filepath.Glob(filepath.Join(name, "*.cf")); err != nil {
			return nil, err
		}
	}
	for _, name := range files {
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		services, warnings, err := sites.ParseServices(name, file)
		file.Close()
		if err != nil {
			return nil, err
		}
		warn(stderr, warnings)
		all = append(all, services...)
	}
	return all, nil
}

// maxWarnings is how many warnings are written out.
const maxWarnings = 100

func warn(w io.Writer, warnings []string) {
	for i, text := range warnings {
		if i == maxWarnings {
			fmt.Fprintf(w, "warning: and %d more\n", len(warnings)-i)
			return
		}
		fmt.Fprintln(w, "warning:", text)
	}
}

// mapReader reads maps with what the server knows.
func (c *call) mapReader(ctx context.Context, f mapFlags) (sites.MapReader, error) {
	defs, err := c.server.Sites().Transports(ctx)
	return sites.MapReader{Local: c.settings.Hostname, Transports: defs, Services: f.services, Subdomains: f.subdomains}, err
}

// importMap reads a map and stores its rows.
func (c *call) importMap(ctx context.Context, read func(sites.MapReader, string, io.Reader) (sites.Import, error)) (sites.Import, mapFlags, error) {
	f, err := c.mapFlags()
	if err != nil {
		return sites.Import{}, f, err
	}
	r, err := c.mapReader(ctx, f)
	if err != nil {
		return sites.Import{}, f, err
	}
	rows, err := read(r, f.file, c.stdin)
	if err != nil {
		return rows, f, err
	}
	warn(c.stderr, rows.Warnings)
	rows.DryRun = f.dryRun
	defer c.showProgress(&rows)()
	return rows, f, c.server.Sites().Import(ctx, rows)
}

// showProgress draws a bar while many rows are stored, if there is a terminal. It is
// drawn outside the transaction, which does not wait for a terminal.
func (c *call) showProgress(rows *sites.Import) (end func()) {
	if !c.terminal || rows.Len() < progressFrom {
		return func() {}
	}
	var done atomic.Int64
	rows.Progress = func(n int) { done.Store(int64(n)) }
	b := &bar{w: c.stderr, total: rows.Len(), what: "rows", done: "imported"}
	stop := make(chan struct{})
	var drawer sync.WaitGroup
	drawer.Go(func() {
		tick := time.NewTicker(progressPause)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				b.at(int(done.Load()))
			case <-stop:
				return
			}
		}
	})
	return func() {
		close(stop)
		drawer.Wait()
		b.end()
	}
}

// imported says how many rows of which kinds came in, or would.
func (c *call) imported(f mapFlags, text string, counts map[string]int) error {
	object := map[string]any{}
	for kind, n := range counts {
		object[kind] = n
	}
	done := "imported"
	if f.dryRun {
		object["dry_run"], done = true, "would be imported"
	}
	return c.print(object, "%s %s\n", text, done)
}

func counted(n int, noun string) string { return fmt.Sprintf("%d %s", n, plural(n, noun)) }

func routeImport(ctx context.Context, c *call) error {
	rows, f, err := c.importMap(ctx, sites.MapReader.Routes)
	if err != nil {
		return err
	}
	n := len(rows.Routes)
	return c.imported(f, counted(n, "route"), map[string]int{"routes": n})
}

func senderRouteImport(ctx context.Context, c *call) error {
	rows, f, err := c.importMap(ctx, sites.MapReader.SenderTransports)
	if err != nil {
		return err
	}
	routes, sources := len(rows.SenderRoutes), len(rows.Sources)
	text := counted(routes, "transport") + " by sender and " + counted(sources, "source")
	return c.imported(f, text, map[string]int{"sender_routes": routes, "sources": sources})
}

func smartHostImport(ctx context.Context, c *call) error {
	rows, f, err := c.importMap(ctx, sites.MapReader.SmartHosts)
	if err != nil {
		return err
	}
	n := len(rows.SmartHosts)
	return c.imported(f, counted(n, "smart host"), map[string]int{"smarthosts": n})
}

func relayImport(ctx context.Context, c *call) error {
	rows, f, err := c.importMap(ctx, sites.MapReader.Credentials)
	if err != nil {
		return err
	}
	n := len(rows.Credentials)
	return c.imported(f, counted(n, "credential"), map[string]int{"credentials": n})
}
