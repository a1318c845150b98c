package arn

import "strings"

// Parameter is the ARN of a parameter of AWS Systems Manager. A name and the same with a slash before it are one parameter.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-parameter-name-constraints.html
func Parameter(region, account, name string) string {
	return join("ssm", region, account, "parameter/"+strings.TrimPrefix(name, "/"))
}

// IsParameter tells whether an ARN is that of a parameter of this name, without making one: it is asked several times a request.
func IsParameter(arn, region, account, name string) bool {
	rest, ok := arn, true
	for _, part := range [...]string{"arn:", Partition, ":ssm:", region, ":", account, ":parameter/", strings.TrimPrefix(name, "/")} {
		if rest, ok = strings.CutPrefix(rest, part); !ok {
			return false
		}
	}
	return rest == ""
}

// CanonicalParameter is a parameter's name without the slash at its beginning.
func CanonicalParameter(name string) string { return strings.TrimPrefix(name, "/") }

// ServiceSetting is the ARN of a setting of AWS Systems Manager, which an account has once in each region.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssystemsmanager.html#awssystemsmanager-resources-for-iam-policies
func ServiceSetting(region, account, id string) string {
	return join("ssm", region, account, "servicesetting/"+strings.TrimPrefix(id, "/"))
}
