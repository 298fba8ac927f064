package host

import (
	"fmt"
	"log/slog"
	"os"

	"github.com/situ-city/situ/internal/failpoint"
)

// Failpoints arms what the parent process asked for, which is nothing unless that is a test.
func Failpoints(logger *slog.Logger) error {
	if err := failpoint.Arm(os.Getenv, os.Getppid(), logger); err != nil {
		return fmt.Errorf("%w: %w", ErrConfig, err)
	}
	return nil
}
