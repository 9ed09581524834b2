export interface TlbCounters { readonly lookups: Float64Array }
