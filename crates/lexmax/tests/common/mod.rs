//! Layers that more than one test goes through.

/// Configurations of every family and kind of variant, without options of the loss.
pub const LAYERS: [&str; 21] = [
    r#"layer = "full""#,
    "layer = \"full\"\ntied = true",
    "layer = \"full\"\nbias = false\ntemperature = 1.7\nsoft_cap = 3.0\nz_loss = 0.01",
    "layer = \"full\"\ntemperature = \"sqrt-vocab\"\nfocal_gamma = 2.0",
    "layer = \"full\"\nlogit_adjustment = 1.0",
    "layer = \"sampled\"\nsamples = 9",
    "layer = \"sampled\"\nsamples = 9\nobjective = \"nce\"\nproposal = \"unigram\"\nunique = true",
    "layer = \"sampled\"\nsamples = 9\nobjective = \"negative-sampling\"\nproposal = \"uniform\"\ntied = true",
    "layer = \"sampled\"\nsamples = 9\nobjective = \"one-vs-each\"\nnegatives = \"per-row\"",
    "layer = \"sampled\"\nproposal = \"in-batch\"\nremove_accidental_hits = false",
    r#"layer = "hierarchical""#,
    "layer = \"hierarchical\"\ntree = \"balanced\"\nbias = false",
    "layer = \"hierarchical\"\ntree = \"two-level\"",
    "layer = \"hierarchical\"\ntree = \"two-level\"\nbins = \"size\"\nclasses = 7",
    r#"layer = "adaptive""#,
    "layer = \"adaptive\"\ncutoffs = [5, 12, 25]\ndiv_value = 2.0\ntail_bias = true",
    "layer = \"adaptive\"\ncutoffs = [10, 20]\ndiv_value = 1.0\nhead_bias = false",
    "layer = \"mos\"\ncomponents = 1",
    "layer = \"mos\"\ncomponents = 3",
    "layer = \"mos\"\ncomponents = 2\nlatent_size = 2\nbias = false",
    r#"layer = "sigsoftmax""#,
];
