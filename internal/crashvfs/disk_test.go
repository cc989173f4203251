//go:build cgo && linux

package crashvfs_test

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/panelmail/panelmail/internal/crashvfs"
	_ "github.com/panelmail/panelmail/queue" // brings the default driver
)

func TestSQLiteKeepsWhatItSyncsOnADisk(t *testing.T) {
	for _, c := range []struct {
		journal, synchronous string
		want                 int // rows after everything unsynced is lost
	}{
		{"WAL", "FULL", 3},
		{"WAL", "NORMAL", 0},
		{"WAL", "OFF", 0},
		{"DELETE", "EXTRA", 3},
	} {
		t.Run(c.journal+" "+c.synchronous, func(t *testing.T) {
			dir := t.TempDir()
			var state *crashvfs.State
			disk := mount(t, func(s *crashvfs.State) { state = s })
			db := on(t, disk, filepath.Join(dir, "db"))
			run(t, db, `PRAGMA journal_mode = `+c.journal, `CREATE TABLE t (x)`,
				`PRAGMA wal_checkpoint(TRUNCATE)`, `PRAGMA synchronous = `+c.synchronous)
			for i := range 3 {
				run(t, db, fmt.Sprintf(`INSERT INTO t VALUES (%d)`, i))
			}
			for damage, want := range map[crashvfs.Damage]int{crashvfs.Lost: c.want, crashvfs.Kept: 3} {
				image := state.Cut(damage, rand.New(rand.NewPCG(1, 1))) // nothing uses the disk now
				if got := rows(t, image); got != want {
					t.Errorf("%v: %d rows, want %d", damage, got, want)
				}
			}
		})
	}
}

// rows counts what the image of a database has in table t.
func rows(t *testing.T, image crashvfs.Image) (n int) {
	t.Helper()
	dir := t.TempDir()
	if err := image.WriteTo(dir); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(dir, "db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow(`SELECT count(*) FROM t`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestAProbeSeesTheDiskBeforeEachChange(t *testing.T) {
	dir := t.TempDir()
	probed := 0
	disk := mount(t, func(s *crashvfs.State) {
		if probed == 0 && s.Pending() != 0 {
			t.Errorf("%d changes before the first one", s.Pending())
		}
		probed++
	})
	db := on(t, disk, filepath.Join(dir, "db"))
	run(t, db, `PRAGMA journal_mode = WAL`)
	before := probed
	run(t, db, `SELECT 1`)
	if probed != before {
		t.Errorf("probed %d times for a query that changes nothing", probed-before)
	}
	run(t, db, `CREATE TABLE t (x)`)
	if probed == before {
		t.Error("not probed for a commit")
	}
}

func TestADatabaseThatHasAPastIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	if err := os.WriteFile(path, []byte("something"), 0o600); err != nil {
		t.Fatal(err)
	}
	db := on(t, mount(t, func(*crashvfs.State) {}), path)
	if _, err := db.Exec(`CREATE TABLE t (x)`); err == nil {
		t.Error("no error")
	}
}

func TestDisksDoNotSeeEachOther(t *testing.T) {
	var probed [2]int
	var dbs [2]*sql.DB
	for i := range dbs {
		disk := mount(t, func(*crashvfs.State) { probed[i]++ })
		dbs[i] = on(t, disk, filepath.Join(t.TempDir(), "db"))
	}
	run(t, dbs[1], `CREATE TABLE t (x)`)
	if diff := cmp.Diff([]bool{false, true}, []bool{probed[0] > 0, probed[1] > 0}); diff != "" {
		t.Errorf("probed (-want +got):\n%s", diff)
	}
}

func mount(t *testing.T, probe func(*crashvfs.State)) *crashvfs.Disk {
	t.Helper()
	disk, err := crashvfs.Mount(probe)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(disk.Unmount)
	return disk
}

func run(t *testing.T, db *sql.DB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}
