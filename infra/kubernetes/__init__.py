"""The Kubernetes objects that are applied, judged before they are: each by itself, the pods, and all together."""
