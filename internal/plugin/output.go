package plugin

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
	"sigs.k8s.io/yaml"

	"strongroom.dev/strongroom/api/v1alpha1"
)

var groupVersion = v1alpha1.SchemeGroupVersion

// The formats of output.
const (
	outputTable = "table"
	outputJSON  = "json"
	outputYAML  = "yaml"
	outputName  = "name"
	outputRaw   = "raw"
)

// addOutput adds --output, whose first value is the default.
func addOutput(cmd *cobra.Command, into *string, formats ...string) {
	cmd.Flags().StringVarP(into, "output", "o", formats[0], "format: "+strings.Join(formats, ", "))
	complete(cmd, "output", formats...)
	before := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		for _, f := range formats {
			if f == *into {
				if before != nil {
					return before(cmd, args)
				}
				return nil
			}
		}
		return fmt.Errorf("--output is %q: give one of %s", *into, strings.Join(formats, ", "))
	}
}

// structured writes v as JSON or YAML.
func structured(out io.Writer, format string, v any) error {
	marshal := yaml.Marshal
	if format == outputJSON {
		marshal = func(v any) ([]byte, error) {
			b, err := json.MarshalIndent(v, "", "    ")
			return append(b, '\n'), err
		}
	}
	b, err := marshal(v)
	if err != nil {
		return fmt.Errorf("writing %s: %w", format, err)
	}
	_, err = out.Write(b)
	return err
}

// table writes rows under a header, as kubectl's tables are.
func table(out io.Writer, rows [][]string) error {
	w := tabwriter.NewWriter(out, 6, 4, 3, ' ', 0)
	for _, row := range rows {
		for i, cell := range row {
			if i > 0 {
				_, _ = io.WriteString(w, "\t") // Flush tells
			}
			_, _ = io.WriteString(w, printable(cell))
		}
		_, _ = io.WriteString(w, "\n")
	}
	return w.Flush()
}

// printable is a cell without what a terminal would take for a command: messages hold what others wrote.
func printable(cell string) string {
	if cell == "" {
		return "<none>"
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, cell)
}

// number in decimal.
func number(n int64) string { return strconv.FormatInt(n, 10) }

func elapsed(now time.Time, since metav1.Time) string {
	if since.IsZero() {
		return "<unknown>"
	}
	return duration.HumanDuration(now.Sub(since.Time))
}
