//! Tests of experiment files: grids, overrides, and errors that name key, file and nearest name.
#![allow(clippy::unwrap_used)]

use lexmax_output::fused::Compute;

use super::*;

const FILE: &str = r#"
corpus.synthetic = { vocab_size = 100, classes = 4 }

[backbone]
kind = "lstm"
embedding = 8
hidden = 8

[training]
batch = 4
bptt = 5
learning_rate = 1.0
optimizer = { kind = "sgd" }
budget = { seconds = 3 }
seeds = [1, 2]

[[outputs]]
name = "full"
layer = "full"

[[outputs]]
name = "sampled"
layer = "sampled"
objective = "sampled-softmax"
samples = 16
grid = { samples = [8, 16], "training.learning_rate" = [0.5, 2.0] }
training = { clip = 0.25 }
"#;

fn load(text: &str, set: &[&str]) -> Result<Experiment> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("experiments").join("small.toml");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, text).unwrap();
    let set = set.iter().map(|pair| (*pair).to_owned()).collect();
    Experiment::load(&file, &Overrides { set, threads: None })
}

fn refusal(text: &str, set: &[&str]) -> String {
    load(text, set).unwrap_err().to_string()
}

#[test]
fn grid_gives_every_combination_to_layer_and_training() {
    let experiment = load(FILE, &[]).unwrap();
    assert_eq!(experiment.name, "small");
    let outputs = &experiment.outputs;
    let names: Vec<&str> = outputs.iter().map(|output| output.name.as_str()).collect();
    let expected = [
        "full",
        "sampled samples=8 learning_rate=0.5",
        "sampled samples=8 learning_rate=2.0",
        "sampled samples=16 learning_rate=0.5",
        "sampled samples=16 learning_rate=2.0",
    ];
    assert_eq!(names, expected);
    assert_eq!(outputs[0].training.learning_rate, 1.0);
    assert_eq!(outputs[0].training.clip, None);
    for (output, (samples, rate)) in outputs[1..].iter().zip([(8, 0.5), (8, 2.0), (16, 0.5), (16, 2.0)]) {
        assert_eq!(output.training.learning_rate, rate);
        assert_eq!(output.training.clip, Some(0.25));
        assert_eq!(serde_json::to_value(&output.layer).unwrap()["samples"], samples);
    }
}

#[test]
fn set_reaches_every_section() {
    let set = [
        "training.budget.tokens=500",
        "backbone.hidden=12",
        "corpus.synthetic.vocab_size=50",
        "outputs.full.soft_cap=30.0",
        "training.seeds=[7]",
        "training.dtype=f64",
        "training.compute=reference",
        "training.sparse_gradients=true",
        "training.workspace_mib=5",
        "training.optimizer={kind=\"adam\",lazy=true}",
    ];
    let experiment = load(FILE, &set).unwrap();
    let BackboneConfig::Lstm(lstm) = &experiment.backbone else { panic!("{:?}", experiment.backbone) };
    assert_eq!((lstm.hidden, lstm.layers), (12, 1));
    let CorpusSpec::Synthetic(synthetic) = &experiment.corpus else { panic!("{:?}", experiment.corpus) };
    assert_eq!(synthetic.vocab_size, 50);
    let training = &experiment.outputs[0].training;
    assert_eq!((training.budget, training.dtype), (Budget::Tokens(500), Dtype::F64));
    assert_eq!(training.compute, Compute::Reference);
    for (name, compute) in [("chunked", Compute::Chunked), ("fastest", Compute::Fastest)] {
        let set = format!("training.compute={name}");
        assert_eq!(load(FILE, &[&set]).unwrap().outputs[0].training.compute, compute);
    }
    assert_eq!(training.sparse_gradients, Some(true));
    assert_eq!(training.workspace_bytes(), Some(5 << 20));
    assert!(training.optimizer.leaves_rows());
    assert_eq!(training.seeds, [7]);
    assert_eq!(serde_json::to_value(&experiment.outputs[0].layer).unwrap()["soft_cap"], 30.0);
}

#[test]
fn unknown_keys_are_errors_with_file_place_and_nearest_name() {
    let text = refusal(&FILE.replace("learning_rate = 1.0", "lerning_rate = 1.0"), &[]);
    assert!(
        text.contains("small.toml: [training]: unknown key `lerning_rate`; did you mean `learning_rate`?"),
        "{text}"
    );
    let text = refusal(&FILE.replace("[backbone]", "[bakbone]"), &[]);
    assert!(text.contains("unknown key `bakbone`; did you mean `backbone`?"), "{text}");
    let text = refusal(&FILE.replace("embedding = 8", "embeding = 8"), &[]);
    assert!(text.contains("[backbone]: unknown key `embeding`; did you mean `embedding`?"), "{text}");
    let text = refusal(&FILE.replace("samples = 16", "sample = 16"), &[]);
    assert!(text.contains("output `sampled") && text.contains("`sample`; did you mean `samples`?"), "{text}");
    let text = refusal(&FILE.replace("layer = \"full\"", "layer = \"ful\""), &[]);
    assert!(text.contains("output `full`: unknown name `ful` in `layer`; did you mean `full`?"), "{text}");
    let text = refusal(&FILE.replace("kind = \"sgd\"", "kind = \"sgdd\""), &[]);
    assert!(text.contains("`sgdd` in `optimizer.kind`; did you mean `sgd`?"), "{text}");
    let text = refusal(FILE, &["training.sparse_gradient=true"]);
    assert!(text.contains("unknown key `sparse_gradient`; did you mean `sparse_gradients`?"), "{text}");
    let text = refusal(FILE, &["training.optimizer.lasy=true"]);
    assert!(text.contains("unknown key `lasy` in `optimizer`; did you mean `lazy`?"), "{text}");
    let text = refusal(&FILE.replace("classes = 4", "clases = 4"), &[]);
    assert!(
        text.contains("corpus: unknown key `clases`") && text.contains("did you mean `classes`?"),
        "{text}"
    );
}

#[test]
fn an_outputs_own_keys_are_suggested_too() {
    for (typo, meant) in [("grd", "grid"), ("trainig", "training"), ("nme", "name"), ("soft_kap", "soft_cap")]
    {
        let text = refusal(FILE, &[&format!("outputs.full.{typo}={{}}")]);
        let expected = format!("output `full`: unknown key `{typo}`; did you mean `{meant}`?");
        assert!(text.contains(&expected), "{text}");
    }
    let text = refusal(&FILE.replace("layer = \"full\"", "layr = \"full\""), &[]);
    assert!(text.contains("output `full`: unknown key `layr`; did you mean `layer`?"), "{text}");
    let text = refusal(&FILE.replace("layer = \"full\"", ""), &[]);
    assert!(text.contains("output `full`: the key `layer` is missing"), "{text}");
    let text = refusal(&FILE.replace("name = \"full\"", "nam = \"full\""), &[]);
    assert!(text.contains("unknown key `nam`; did you mean `name`?"), "{text}");
    let text = refusal(&FILE.replace("name = \"sampled\"", ""), &[]);
    assert!(text.contains("an output without a name: the key `name` is missing"), "{text}");
    let text = refusal(&FILE.replace("kind = \"lstm\"", "knd = \"lstm\""), &[]);
    assert!(text.contains("[backbone]: unknown key `knd`; did you mean `kind`?"), "{text}");
}

#[test]
fn output_answers_to_its_name_with_some_or_all_grid_values() {
    let experiment = load(FILE, &[]).unwrap();
    let meant = |name: &str| -> Vec<usize> {
        let outputs = experiment.outputs.iter().enumerate();
        outputs.filter(|(_, output)| output.answers_to(name)).map(|(index, _)| index).collect()
    };
    assert_eq!(meant("sampled"), [1, 2, 3, 4]);
    assert_eq!(meant("sampled samples=16"), [3, 4]);
    assert_eq!(meant("sampled samples=16 learning_rate=0.5"), [3]);
    assert_eq!(meant("full"), [0]);
    for other in ["sampled ", "sampled samples=1", "sampled learning_rate=0.5", "samples=16", ""] {
        assert_eq!(meant(other), [0; 0], "{other}");
    }
    // A name may hold what looks like a value of a grid.
    let named = load(&FILE.replace("name = \"full\"", "name = \"full S=16\""), &[]).unwrap();
    assert!(named.outputs[0].answers_to("full S=16") && !named.outputs[0].answers_to("full"));
    assert_eq!((named.outputs[0].base.as_str(), named.outputs[0].grid.len()), ("full S=16", 0));
}

#[test]
fn a_grid_of_too_many_points_is_refused() {
    let hundred = format!("{:?}", (1..=101).collect::<Vec<_>>());
    let grid = format!("outputs.full.grid={{soft_cap={hundred},temperature={hundred}}}");
    let text = refusal(FILE, &[&grid]);
    assert!(text.contains("`grid` has more than 10000 points"), "{text}");
}

#[test]
fn set_checks_keys_and_types() {
    let text = refusal(FILE, &["trainng.batch=2"]);
    assert!(
        text.contains("--set trainng.batch=2: unknown key `trainng`; did you mean `training`?"),
        "{text}"
    );
    let text = refusal(FILE, &["training.bach=2"]);
    assert!(text.contains("unknown key `bach`; did you mean `batch`?"), "{text}");
    let text = refusal(FILE, &["training.batch=many"]);
    assert!(text.contains("invalid type: string \"many\"") && text.contains("batch"), "{text}");
    let text = refusal(FILE, &["outputs.ful.soft_cap=3"]);
    assert!(text.contains("unknown output `ful`; did you mean `full`?"), "{text}");
    let text = refusal(FILE, &["training.batch"]);
    assert!(text.contains("expected key=value"), "{text}");
}

#[test]
fn values_out_of_range_are_named() {
    for (set, expected) in [
        ("training.batch=0", "`batch` is 0, expected at least 1"),
        ("training.learning_rate=-1.0", "`learning_rate` is -1, expected a finite number above zero"),
        ("training.budget.tokens=0", "`budget.tokens` is 0"),
        ("training.seeds=[]", "`seeds` is empty"),
        ("training.seeds=[3, 3]", "`seeds` names 3 twice"),
        ("backbone.dropout=1.0", "`dropout` is 1, expected 0 <= dropout < 1"),
        ("backbone.layers=0", "`layers` is 0"),
        ("training.optimizer={kind=\"sgd\",momentum=2.0}", "sgd.momentum is 2, expected a number in [0, 1)"),
        ("training.plateau={factor=4.0}", "plateau.factor is 4"),
        ("training.valid_tokens=1", "`valid_tokens` is 1"),
        ("corpus={text={train=[]}}", "no files, expected `train`"),
    ] {
        let text = refusal(FILE, &[set]);
        assert!(text.contains(expected), "{set}: {text}");
    }
    // On the command line the later one displaces the other; a file has to decide.
    let both = FILE.replace("[training]\n", "[training]\neval_points = 3\neval_every_seconds = 1.0\n");
    assert!(both != FILE);
    let text = refusal(&both, &[]);
    assert!(text.contains("expected one of them"), "{text}");
    let text = refusal(FILE, &["training.plateau="]);
    assert!(text.contains("no `training.plateau` to take away"), "{text}");
    let text =
        refusal(&FILE.replace("name = \"sampled\"", "name = \"full\"").replace("grid =", "# grid ="), &[]);
    assert!(text.contains("two outputs are named `full`"), "{text}");
    let text = refusal(&FILE.replace("[8, 16]", "8"), &[]);
    assert!(text.contains("`grid.samples` is 8, expected a list"), "{text}");
}

#[test]
fn a_file_that_is_no_toml_says_where() {
    let text = refusal("corpus = \n[backbone]", &[]);
    assert!(text.contains("small.toml") && text.contains("line 1"), "{text}");
    let missing = Experiment::load(Path::new("no/such.toml"), &Overrides::default()).unwrap_err().to_string();
    assert!(missing.contains("no/such.toml"), "{missing}");
}

#[test]
fn relative_paths_start_above_the_experiments_folder() {
    assert_eq!(project_of(Path::new("experiments/x.toml")), Path::new("."));
    assert_eq!(project_of(Path::new("../experiments/x.toml")), Path::new(".."));
    assert_eq!(project_of(Path::new("/a/experiments/x.toml")), Path::new("/a"));
    assert_eq!(project_of(Path::new("/a/x.toml")), Path::new("."));
}
