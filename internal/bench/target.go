package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/panelmail/panelmail/internal/interop"
)

// A scene is what a server finds when it is started for a run.
type scene struct {
	dir      string   // empty directory for everything of the server
	nextHops []string // addresses of the destinations; domain i is sent to the i-th
	size     int      // octets of the largest message
	held     bool     // the destinations never answer
	one      bool     // to each destination one delivery at a time

	environment []string // of all processes of the server, "NAME=value"
}

// A running server takes mail at addr until it is stopped. pids are the roots of
// its processes, if it has some of its own.
type running struct {
	addr string
	pids []int
	stop func() error
	log  func() string
}

// A target is something the generator can be pointed at.
type target struct {
	name  string
	start func(context.Context, scene) (running, error)
}

// domain is the i-th recipient domain.
func domain(i int) string { return fmt.Sprintf("d%04d.bench.test", i) }

// ceiling sends straight to the sink: what generator and sink can do at most.
func ceiling() target {
	return target{name: "ceiling", start: func(_ context.Context, s scene) (running, error) {
		return running{
			addr: s.nextHops[0],
			stop: func() error { return nil },
			log:  func() string { return "" },
		}, nil
	}}
}

// panelmail is the example server, with settings that say where mail goes and
// how large it may be, and nothing else.
func panelmail(b *bench) target {
	return target{name: ours, start: func(ctx context.Context, s scene) (running, error) {
		binary, err := b.program(ctx)
		if err != nil {
			return running{}, err
		}
		p := &interop.Standalone{
			Binary:   binary,
			Dir:      s.dir,
			Settings: []string{fmt.Sprintf("limits.message_size = %q", fmt.Sprintf("%dMiB", s.size>>20+16))},
		}
		if s.environment != nil {
			p.Wrapper = append([]string{"env"}, s.environment...)
		}
		if s.one {
			p.Settings = append(p.Settings, "limits.destination_concurrency = 1")
		}
		if len(s.nextHops) == 1 {
			p.SmartHost = s.nextHops[0]
		} else if err := routes(ctx, p, s); err != nil {
			return running{}, err
		}
		if err := p.Start(ctx); err != nil {
			return running{}, err
		}
		return standing(p), nil
	}}
}

// standing is the example server as one that runs.
func standing(p *interop.Standalone) running {
	return running{addr: p.Addr, pids: []int{p.PID()}, stop: p.Stop, log: p.Log}
}

// routes gives the server a transport map with one line a domain.
func routes(ctx context.Context, p *interop.Standalone, s scene) error {
	file, err := transportMap(s)
	if err != nil {
		return err
	}
	_, err = p.Command(ctx, "route", "import", file)
	return err
}

// transportMap writes the map of a scene as transport(5) text.
func transportMap(s scene) (string, error) {
	var b strings.Builder
	for i, addr := range s.nextHops {
		host, port, _ := strings.Cut(addr, ":")
		fmt.Fprintf(&b, "%s smtp:[%s]:%s\n", domain(i), host, port)
	}
	file := filepath.Join(s.dir, "transport")
	return file, os.WriteFile(file, []byte(b.String()), 0o644)
}

// postfix is Debian's Postfix with lines added to its default main.cf. Where
// the destination is held, Postfix is told so: mail goes on hold as it arrives,
// which saves it the queue manager's work and measures a third faster than a
// silent destination does. panelmail gets the silent destination.
func postfix(name string, main []string) target {
	return target{name: name, start: func(ctx context.Context, s scene) (running, error) {
		p := &interop.Postfix{Dir: s.dir, Main: main}
		// Only what the workload needs in order to work at all.
		p.Main = append(p.Main[:len(p.Main):len(p.Main)], "message_size_limit = 0", "mailbox_size_limit = 0")
		if s.held {
			p.Main = append(p.Main, "smtpd_recipient_restrictions = check_client_access static:HOLD")
		}
		if s.environment != nil {
			p.Main = append(p.Main, "import_environment = MAIL_CONFIG MAIL_DEBUG MAIL_LOGTAG POSTLOG_SERVICE POSTLOG_HOSTNAME LANG=C "+strings.Join(s.environment, " "))
		}
		if s.one {
			p.Main = append(p.Main, "default_destination_concurrency_limit = 1", "initial_destination_concurrency = 1")
		}
		if len(s.nextHops) == 1 {
			host, port, _ := strings.Cut(s.nextHops[0], ":")
			p.Main = append(p.Main, "relayhost = ["+host+"]:"+port)
		} else {
			file, err := transportMap(s)
			if err != nil {
				return running{}, err
			}
			p.Main = append(p.Main, "transport_maps = texthash:"+file)
		}
		if err := p.Start(ctx); err != nil {
			return running{}, err
		}
		pid, err := p.PID()
		return running{
			addr: p.Addr,
			pids: []int{pid},
			stop: func() error { return p.Stop(context.WithoutCancel(ctx)) },
			log:  p.Log,
		}, err
	}}
}

// tuned is what an operator changes on a Postfix that has one busy next hop:
// enough processes that none of them is what is waited for, no brake between
// arrival and delivery, as many deliveries at once as there are sessions.
func tuned() []string {
	return []string{
		"default_process_limit = 400",
		"in_flow_delay = 0",
		"smtpd_client_connection_count_limit = 0",
		"initial_destination_concurrency = 50",
		"default_destination_concurrency_limit = 50",
		"qmgr_message_active_limit = 50000",
		"qmgr_message_recipient_limit = 50000",
		"smtp_connection_cache_on_demand = yes",
		"smtp_tls_security_level = none",
	}
}
