package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/transport"
)

// settings is the configuration file, with the defaults filled in. Keys that are
// marked so are read and checked, so that one file serves this version and the
// next, and have no effect.
type settings struct {
	Hostname   string `toml:"hostname"`
	Postmaster string `toml:"postmaster"`

	Listen struct {
		SMTP        string `toml:"smtp"`
		Submission  string `toml:"submission"`
		Submissions string `toml:"submissions"`
		Sendmail    string `toml:"sendmail"`
		Maildrop    string `toml:"maildrop"`
		Admin       string `toml:"admin"` // not built yet
	} `toml:"listen"`

	Relay struct {
		Networks           []string `toml:"networks"`
		HoldWhenOverBudget bool     `toml:"hold_when_over_budget"` // not built yet
	} `toml:"relay"`

	Delivery struct {
		Resolver     string `toml:"resolver"`
		AllowPrivate bool   `toml:"allow_private"`
		Port         uint16 `toml:"port"`
		SmartHost    string `toml:"smart_host"`
		TLS          string `toml:"tls"`
		TrustAD      bool   `toml:"dnssec_resolver_trusted"` // not built yet
	} `toml:"delivery"`

	TLS struct {
		Certificate string `toml:"certificate"`
		Key         string `toml:"key"`
	} `toml:"tls"`

	Log struct {
		File   string `toml:"file"`
		Format string `toml:"format"`
	} `toml:"log"`

	Queue struct {
		Lifetime       duration `toml:"lifetime"`
		BounceLifetime duration `toml:"bounce_lifetime"`
		BackoffMin     duration `toml:"backoff_min"`
		BackoffMax     duration `toml:"backoff_max"`
		DelayWarning   duration `toml:"delay_warning"`
		Workers        int      `toml:"workers"`
	} `toml:"queue"`

	Limits struct {
		MessageSize            size `toml:"message_size"`
		DestinationConcurrency int  `toml:"destination_concurrency"`
		InitialConcurrency     int  `toml:"initial_concurrency"` // not built yet
	} `toml:"limits"`
}

// defaults are the settings of a server without a configuration file.
func defaults() settings {
	var s settings
	s.Hostname = "localhost.localdomain"
	if name, err := os.Hostname(); err == nil && strings.Contains(name, ".") {
		s.Hostname = name
	}
	s.Listen.SMTP, s.Listen.Submission = "127.0.0.1:2525", "127.0.0.1:2587"
	s.Listen.Sendmail = "sendmail.sock"
	s.Relay.HoldWhenOverBudget = true
	s.Delivery.Port, s.Delivery.TLS = 25, "may"
	s.Log.Format = "text"
	s.Queue.Lifetime, s.Queue.BounceLifetime = duration(5*24*time.Hour), duration(5*24*time.Hour)
	s.Queue.BackoffMin, s.Queue.BackoffMax = duration(5*time.Minute), duration(4*time.Hour)
	s.Queue.DelayWarning, s.Queue.Workers = duration(4*time.Hour), 200
	s.Limits.MessageSize, s.Limits.DestinationConcurrency, s.Limits.InitialConcurrency = 50<<20, 20, 5
	return s
}

// load reads the configuration file of the application. Only a file that was
// not named may be missing.
func (a *app) load() error {
	a.settings = defaults()
	text, err := os.ReadFile(a.configFile())
	if errors.Is(err, os.ErrNotExist) && a.config == "" {
		return nil
	}
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	meta, err := toml.Decode(string(text), &a.settings)
	var syntax toml.ParseError
	if errors.As(err, &syntax) {
		return fmt.Errorf("configuration: %s:%d: %s", a.configFile(), syntax.Position.Line, syntax.Message)
	}
	if err != nil {
		return fmt.Errorf("configuration: %s: %w", a.configFile(), err)
	}
	var unknown []error
	for _, key := range meta.Undecoded() {
		unknown = append(unknown, fmt.Errorf("configuration: %s:%d: unknown key %q", a.configFile(), lineOf(string(text), key), key))
	}
	return errors.Join(unknown...)
}

func (a *app) configFile() string {
	if a.config != "" {
		return a.config
	}
	return filepath.Join(a.data, "panelmail.toml")
}

// lineOf finds the line of a key that was decoded from text.
func lineOf(text string, key toml.Key) int {
	table := ""
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			table = strings.Trim(strings.TrimSpace(strings.SplitN(line, "#", 2)[0]), "[] ") + "."
			if table == key.String()+"." {
				return i + 1
			}
			continue
		}
		name, _, found := strings.Cut(line, "=")
		if found && table+strings.Trim(strings.TrimSpace(name), `"'`) == key.String() {
			return i + 1
		}
	}
	return 1
}

// mailcore is the settings as the library takes them. It reports every problem.
func (s settings) mailcore() (mailcore.Config, error) {
	var problems []error
	c := mailcore.Config{
		Hostname:     s.Hostname,
		Postmaster:   s.Postmaster,
		SmartHost:    s.Delivery.SmartHost,
		TLSLevel:     transport.TLSLevel(s.Delivery.TLS),
		Port:         s.Delivery.Port,
		AllowPrivate: s.Delivery.AllowPrivate,
		MessageSize:  int64(s.Limits.MessageSize),
		Concurrency:  s.Limits.DestinationConcurrency,
		Workers:      s.Queue.Workers,
		Retry: mailcore.Retry{
			BackoffMin:     time.Duration(s.Queue.BackoffMin),
			BackoffMax:     time.Duration(s.Queue.BackoffMax),
			Lifetime:       time.Duration(s.Queue.Lifetime),
			BounceLifetime: time.Duration(s.Queue.BounceLifetime),
			DelayWarning:   time.Duration(s.Queue.DelayWarning),
		},
	}
	if c.Retry.DelayWarning == 0 {
		c.Retry.DelayWarning = -1
	}
	for _, text := range s.Relay.Networks {
		network, err := parseNetwork(text)
		if err != nil {
			problems = append(problems, fmt.Errorf("relay.networks: %w", err))
			continue
		}
		c.RelayNetworks = append(c.RelayNetworks, network)
	}
	if s.Delivery.Resolver != "" {
		if _, err := netip.ParseAddrPort(s.Delivery.Resolver); err != nil {
			problems = append(problems, fmt.Errorf("delivery.resolver: %w", err))
		}
		c.Resolver = &transport.DNS{Server: s.Delivery.Resolver}
	}
	if (s.TLS.Certificate == "") != (s.TLS.Key == "") {
		problems = append(problems, errors.New("tls: certificate and key go together"))
	}
	if s.Log.Format != "text" && s.Log.Format != "json" {
		problems = append(problems, fmt.Errorf("log.format %q: want text or json", s.Log.Format))
	}
	return c, errors.Join(problems...)
}

// parseNetwork reads an address or a network in Postfix's mynetworks syntax:
// 192.0.2.1, 192.0.2.0/24, [2001:db8::1], [2001:db8::]/32.
func parseNetwork(text string) (netip.Prefix, error) {
	plain := strings.NewReplacer("[", "", "]", "").Replace(text)
	if addr, err := netip.ParseAddr(plain); err == nil {
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	network, err := netip.ParsePrefix(plain)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is neither an address nor a network", text)
	}
	if network.Masked() != network {
		return netip.Prefix{}, fmt.Errorf("%q has bits beyond its mask: want %v", text, network.Masked())
	}
	return network, nil
}

// duration is a time.Duration that also knows days: "5d", "4h30m".
type duration time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *duration) UnmarshalText(text []byte) error {
	s := string(text)
	var days time.Duration
	if before, after, found := strings.Cut(s, "d"); found {
		n, err := strconv.ParseUint(before, 10, 16)
		if err != nil {
			return fmt.Errorf("%q is no duration: want 5d, 4h, 30m or 10s", s)
		}
		days, s = time.Duration(n)*24*time.Hour, after
	}
	var rest time.Duration
	if s != "" {
		var err error
		if rest, err = time.ParseDuration(s); err != nil || rest < 0 {
			return fmt.Errorf("%q is no duration: want 5d, 4h, 30m or 10s", text)
		}
	}
	*d = duration(days + rest)
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (d duration) MarshalText() ([]byte, error) {
	v := time.Duration(d)
	if v != 0 && v%(24*time.Hour) == 0 {
		return fmt.Appendf(nil, "%dd", v/(24*time.Hour)), nil
	}
	text := v.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return []byte(text), nil
}

// size is a number of octets: "50MiB", "64KiB", "1GiB" or a bare number.
type size int64

// UnmarshalText implements encoding.TextUnmarshaler.
func (z *size) UnmarshalText(text []byte) error {
	s, unit := string(text), int64(1)
	for suffix, octets := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30} {
		if before, found := strings.CutSuffix(s, suffix); found {
			s, unit = strings.TrimSpace(before), octets
		}
	}
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil || n < 0 {
		return fmt.Errorf("%q is no size: want a number of octets, KiB, MiB or GiB", text)
	}
	*z = size(n * unit)
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (z size) MarshalText() ([]byte, error) {
	n, unit := int64(z), ""
	for _, u := range []string{"KiB", "MiB", "GiB"} {
		if n != 0 && n%1024 == 0 {
			n, unit = n/1024, u
		}
	}
	return fmt.Appendf(nil, "%d%s", n, unit), nil
}
