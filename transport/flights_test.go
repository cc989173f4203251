package transport

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestThoseWhoWantTheSameAtOnceWaitForOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var (
			f    flights[string, int]
			n    int
			wait sync.WaitGroup
		)
		work := func() (int, error) {
			n++
			time.Sleep(time.Second)
			return n, errors.New("and an error")
		}
		for range 5 {
			wait.Go(func() {
				if v, err := f.do(t.Context(), "x", work); v != 1 || err == nil {
					t.Errorf("%d, %v", v, err)
				}
			})
		}
		wait.Wait()
		if v, _ := f.do(t.Context(), "x", work); v != 2 {
			t.Errorf("later: %d", v)
		}
		if len(f.under) != 0 {
			t.Errorf("%d are remembered", len(f.under))
		}
	})
}

func TestSomebodyWithoutTimeSpoilsNothingForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var (
			f    flights[string, string]
			wait sync.WaitGroup
		)
		hurried, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		wait.Go(func() {
			_, err := f.do(hurried, "x", func() (string, error) {
				<-hurried.Done()
				return "", hurried.Err()
			})
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		})
		synctest.Wait()
		wait.Go(func() {
			v, err := f.do(t.Context(), "x", func() (string, error) { return "done", nil })
			if v != "done" || err != nil {
				t.Errorf("the patient one: %q, %v", v, err)
			}
		})
		wait.Wait()

		began, release := make(chan struct{}), make(chan struct{})
		wait.Go(func() {
			f.do(t.Context(), "y", func() (string, error) {
				close(began)
				<-release
				return "late", nil
			})
		})
		<-began
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := f.do(short, "y", nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("waited for the other: %v", err)
		}
		close(release)
		wait.Wait()
	})
}
