package plugin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// damaged tells whether an error is that a parameter of several cannot be read.
func damaged(err error) bool {
	var inside *types.InternalServerError
	return errors.As(err, &inside)
}

// readEach reads the parameters below the path by their names, for a path of which a page cannot be read: ten at once, and one by one where that fails. It returns those that
// cannot be read, too. What is deleted meanwhile is in neither.
func (f *exportFlags) readEach(ctx context.Context, api *ssm.Client) (out []types.Parameter, lost []string, err error) {
	names, err := f.names(ctx, api)
	if err != nil {
		return nil, nil, err
	}
	for some := range slices.Chunk(names, atOnce) {
		found, err := f.byName(ctx, api, some, func(o *ssm.Options) { o.RetryMaxAttempts = 1 }) // it would fail each time
		if err == nil {
			out = append(out, found...)
			continue
		}
		if !damaged(err) {
			return nil, nil, err
		}
		for _, name := range some {
			one, err := f.byName(ctx, api, []string{name})
			switch {
			case err == nil:
				out = append(out, one...)
			case damaged(err):
				lost = append(lost, name)
			default:
				return nil, nil, err
			}
		}
	}
	return out, lost, nil
}

// names lists what is below the path, which is read without values.
func (f *exportFlags) names(ctx context.Context, api *ssm.Client) (names []string, err error) {
	pages := ssm.NewDescribeParametersPaginator(api, &ssm.DescribeParametersInput{ParameterFilters: []types.ParameterStringFilter{
		{Key: aws.String("Path"), Option: aws.String("Recursive"), Values: []string{f.path}},
	}})
	for pages.HasMorePages() {
		page, err := within(ctx, f.gateway.timeout, func(ctx context.Context) (*ssm.DescribeParametersOutput, error) { return pages.NextPage(ctx) })
		if err != nil {
			return nil, fmt.Errorf("listing %s: %w", f.path, err)
		}
		for i := range page.Parameters {
			names = append(names, aws.ToString(page.Parameters[i].Name))
		}
	}
	return names, nil
}

func (f *exportFlags) byName(ctx context.Context, api *ssm.Client, names []string, options ...func(*ssm.Options)) ([]types.Parameter, error) {
	out, err := within(ctx, f.gateway.timeout, func(ctx context.Context) (*ssm.GetParametersOutput, error) {
		return api.GetParameters(ctx, &ssm.GetParametersInput{Names: names, WithDecryption: &f.decrypt}, options...)
	})
	if err != nil {
		return nil, fmt.Errorf("reading parameters below %s: %w", f.path, err)
	}
	return out.Parameters, nil
}

// leftOut is the error of an export that has printed all but what cannot be read; nil if that is nothing.
func leftOut(lost []string) error {
	if len(lost) == 0 {
		return nil
	}
	return fmt.Errorf("%d parameters cannot be read and are left out: %s; the conditions of their Parameters say what helps", len(lost), strings.Join(lost, ", "))
}
