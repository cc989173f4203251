// Package admin uses its own floor.
package admin

import (
	_ "planted.test/internal/bench"
	_ "planted.test/mailcore/metrics"
)
