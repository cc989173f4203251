package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestABadConfigurationNamesTheKeyAndTheLine(t *testing.T) {
	for _, tt := range []struct {
		lines []string
		want  []string
	}{
		{[]string{"[queue]", `lifetme = "5d"`}, []string{`:2: unknown key "queue.lifetme"`}},
		{[]string{`queue.lifetme = "5d"`, "[nonsense]", "a = 1"}, []string{`:1: unknown key "queue.lifetme"`, `:2: unknown key "nonsense"`}},
		{[]string{"[queue]", `lifetime = "5x"`}, []string{`:2: queue.lifetime: "5x" is no duration`}},
		{[]string{"[queue]", `backoff_min = "-5m"`}, []string{`:2: queue.backoff_min: "-5m" is no duration`}},
		{[]string{"[queue]", "workers = -5"}, []string{":2: queue.workers: -5: want more than 0"}},
		{[]string{"[queue]", `workers = "many"`}, []string{":2: queue.workers: incompatible types"}},
		{[]string{`queue.backoff_min = "5h"`}, []string{"queue.backoff_max: 4h is below queue.backoff_min, 5h"}},
		{[]string{"[limits]", `message_size = "-5MiB"`}, []string{`:2: limits.message_size: "-5MiB" is no size`}},
		{[]string{"[limits]", "message_size = 0", "destination_concurrency = -1", "initial_concurrency = 0"},
			[]string{":2: limits.message_size", ":3: limits.destination_concurrency: -1", ":4: limits.initial_concurrency: 0"}},
		{[]string{`hostname = "a b.test"`}, []string{`:1: hostname: `, `"a b.test"`}},
		{[]string{`relay.networks = ["[::ffff:0:0]/96"]`}, []string{`:1: relay.networks: `, `0.0.0.0/0 is a good part of the internet`}},
		{[]string{`hostname = "x.test"`, `relay.networks = ["10.0.0.0/33", "10.0.0.1/8"]`}, []string{`:2: relay.networks: "10.0.0.0/33" is neither an address nor a network`, `"10.0.0.1/8" has bits beyond its mask: want 10.0.0.0/8`}},
		{[]string{"[delivery]", `tls = "sekure"`, `resolver = "x"`, `smart_host = "[x"`, "port = 0"}, []string{":2: delivery.tls", ":3: delivery.resolver", ":4: delivery.smart_host", ":5: delivery.port"}},
		{[]string{"delivery.port = 99999"}, []string{":1: delivery.port", "99999 is out of range"}},
		{[]string{`listen.smtp = "nowhere"`}, []string{":1: listen.smtp"}},
		{[]string{`tls.key = "/nowhere/x.key"`}, []string{"tls: certificate and key go together"}},
		{[]string{"[restrictions]", `client = "sleep 1"`, `relay = ["permit", "reject_unauth_destination"]`},
			[]string{":3: restrictions.relay: Restrictions: neither the relay list nor the recipient list refuses unknown destinations"}},
		{[]string{"[restrictions]", `data = "rejekt"`}, []string{`:2: restrictions.data: Restrictions: data list: "rejekt" is no restriction`}},
		{[]string{"[restrictions]", `helo = 5`}, []string{`:2: restrictions.helo: 5 is no restriction: want a string or a list of strings`}},
		{[]string{"[restrictions.tables]", `t = "nowhere"`}, []string{`:2: restrictions.tables.t: open `, "nowhere: no such file or directory"}},
		{[]string{"[restrictions.tables]", `t = "panelmail.toml"`}, []string{`:2: restrictions.tables.t: Restrictions: table t, line 1: `}},
		{[]string{"[dns]", `addresses = ["mail.example"]`, `spf = "+all"`, `mta_sts = "yes"`},
			[]string{`:2: dns.addresses: ParseAddr("mail.example"): unexpected character (at "mail.example")`,
				`:3: dns.spf: DNS.SPF "+all" is neither ~all nor -all`, `:4: dns.mta_sts: DNS.MTASTS "yes" is not none, testing or enforce`}},
		{[]string{"[forwarding]", `rotation = "1h"`},
			[]string{":2: forwarding.rotation: Forwarding.Rotation is 1h0m0s, want a day or more"}},
		{[]string{"[forwarding]", `domain = "[192.0.2.1]"`, "bounces_per_day = -1"},
			[]string{`:2: forwarding.domain: Forwarding.Domain "[192.0.2.1]" is no domain`, ":3: forwarding.bounces_per_day: -1: want 0 or more"}},
		{[]string{`log.format = "xml"`}, []string{`:1: log.format: "xml": want text or json`}},
		{[]string{"x = = "}, []string{":1: "}},
	} {
		l := newLab(t)
		l.configure(tt.lines...)
		for _, args := range []string{"serve", "config check", "queue list"} {
			got := l.run("", strings.Fields(args)...)
			said := got.Stderr + got.Stdout // config check answers
			if got.Status != 1 {
				t.Errorf("%q: %s: %+v", tt.lines, args, got)
			}
			for _, want := range tt.want {
				if !strings.Contains(said, want) || !strings.Contains(said, filepath.Join(l.data, "panelmail.toml")) {
					t.Errorf("%q: %s: no %q in %q", tt.lines, args, want, said)
				}
			}
		}
		if left, err := os.ReadDir(l.data); err != nil || len(left) != 1 {
			t.Errorf("%q: %v left behind, %v", tt.lines, left, err)
		}
	}
}

func TestAFileThatIsNotThereIsAnErrorIfItIsNamed(t *testing.T) {
	l := newLab(t)
	l.steps(nil, step{args: "config check --config nowhere.toml", status: 1, stderr: "configuration: open nowhere.toml: no such file or directory"})
	if err := os.Remove(filepath.Join(l.data, "panelmail.toml")); err != nil {
		t.Fatal(err)
	}
	l.steps(nil, step{args: "config check", stdout: filepath.Join(l.data, "panelmail.toml") + ": ok\n"})
}

func TestConfigShowIsAConfigurationFile(t *testing.T) {
	l := newLab(t)
	l.configure(`hostname = "mail.panel.example"`, `queue.lifetime = "2d"`, `limits.message_size = "1GiB"`)
	l.steps(nil,
		step{args: "config show --changed", stdout: "hostname = \"mail.panel.example\"\nlimits.message_size = \"1GiB\"\nqueue.lifetime = \"2d\"\n"},
		step{args: "config show --changed --json", stdout: `{"hostname":"mail.panel.example","limits.message_size":"1GiB","queue.lifetime":"2d"}` + "\n"},
		step{args: "config show --bogus", status: 2, stderr: "usage: panelmail config show"},
	)
	whole := l.do("", "config", "show")
	for _, want := range []string{"[queue]", `lifetime = "2d"`, "networks = []", "port = 25"} {
		if !strings.Contains(whole, want) {
			t.Errorf("no %s in\n%s", want, whole)
		}
	}
	l.configure(whole)
	if again := l.do("", "config", "show"); again != whole {
		t.Errorf("read again:\n%s", again)
	}
}

func TestGlobalFlagsStandBeforeOrAfterTheCommand(t *testing.T) {
	l := newLab(t)
	other := filepath.Join(l.data, "other.toml")
	if err := os.WriteFile(other, []byte("hostname = \"other.example\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := `{"hostname":"other.example"}` + "\n"
	l.steps(nil,
		step{args: "--json --config " + other + " config show --changed", stdout: want},
		step{args: "config show --changed --config=" + other + " --json", stdout: want},
		step{args: "config --json show --config " + other + " --no-color --changed", stdout: want},
	)
}

func TestConfigCheckTriesToRelay(t *testing.T) {
	l := newLab(t)
	if err := os.WriteFile(filepath.Join(l.data, "clients"), []byte("192.0.2.7 OK\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l.configure("[restrictions]", `client = ["reject_unknown_client_hostname"]`, `relay = "check_client_access clients, reject_unauth_destination"`,
		"[restrictions.tables]", `clients = "clients"`)
	l.steps(nil,
		step{args: "config check", stdout: filepath.Join(l.data, "panelmail.toml") + ": ok\n"},
		step{args: "config show --changed", stdout: "restrictions.client = \"reject_unknown_client_hostname\"\n" +
			"restrictions.relay = \"check_client_access clients, reject_unauth_destination\"\nrestrictions.tables.clients = \"clients\"\n"},
	)
	l.configure(`relay.networks = ["8.0.0.0/8", "192.0.0.0/8", "198.0.0.0/8", "203.0.0.0/8"]`)
	got := l.run("", "config", "check")
	if want := "this would be an open relay:\nMAIL FROM:<x@relay-test.invalid> RCPT TO:<u@relay-test.invalid> from "; got.Status != 1 || !strings.Contains(got.Stdout, want) {
		t.Errorf("%+v, want %q", got, want)
	}
}
