"""Names of other projects that the pages link to, and where they are described."""

SKLEARN = """
sklearn.compose.ColumnTransformer sklearn.covariance.EllipticEnvelope
sklearn.decomposition.FactorAnalysis sklearn.decomposition.IncrementalPCA
sklearn.decomposition.KernelPCA sklearn.decomposition.NMF sklearn.decomposition.PCA
sklearn.decomposition.TruncatedSVD
sklearn.discriminant_analysis.LinearDiscriminantAnalysis
sklearn.cross_decomposition.PLSRegression
sklearn.ensemble.IsolationForest sklearn.ensemble.RandomForestClassifier
sklearn.exceptions.InconsistentVersionWarning
sklearn.feature_extraction.text.TfidfVectorizer sklearn.impute.KNNImputer
sklearn.impute.IterativeImputer sklearn.impute.SimpleImputer
sklearn.linear_model.LogisticRegression sklearn.linear_model.Ridge
sklearn.linear_model.RidgeCV sklearn.linear_model.LinearRegression
sklearn.mixture.GaussianMixture
sklearn.model_selection.GridSearchCV sklearn.model_selection.GroupKFold
sklearn.model_selection.KFold sklearn.model_selection.RandomizedSearchCV
sklearn.model_selection.TimeSeriesSplit
sklearn.neighbors.LocalOutlierFactor sklearn.neighbors.NeighborhoodComponentsAnalysis
sklearn.neural_network.MLPRegressor sklearn.pipeline.FeatureUnion
sklearn.pipeline.Pipeline sklearn.preprocessing.Normalizer
sklearn.preprocessing.OneHotEncoder sklearn.preprocessing.RobustScaler
sklearn.preprocessing.StandardScaler sklearn.preprocessing.TargetEncoder
sklearn.semi_supervised.SelfTrainingClassifier sklearn.svm.OneClassSVM
"""
SKLEARN_FUNCTIONS = """
sklearn.base.clone sklearn.datasets.fetch_20newsgroups sklearn.datasets.load_digits
sklearn.datasets.load_diabetes sklearn.model_selection.cross_val_score
sklearn.model_selection.train_test_split sklearn.pipeline.make_pipeline
sklearn.utils.estimator_checks.check_estimator
sklearn.utils.multiclass.type_of_target
"""
LABELS = {  # those that inherited docstrings name
    "metadata_routing": "metadata_routing.html#metadata-routing",
    "df_output_transform": "modules/df_output_transform.html#df-output-transform",
    "sphx_glr_auto_examples_miscellaneous_plot_set_output.py": (
        "auto_examples/miscellaneous/plot_set_output.html"
    ),
}


def page(name: str) -> str:
    """Return the address of a name within scikit-learn's documentation."""
    return f"modules/generated/{name}.html#{name}"


PROJECTS = {
    "sklearn": (
        "https://scikit-learn.org/stable/",
        [(name, "py:class", page(name)) for name in SKLEARN.split()]
        + [(name, "py:function", page(name)) for name in SKLEARN_FUNCTIONS.split()]
        + [(name, "std:label", address) for name, address in LABELS.items()],
    ),
    "skorch": (
        "https://skorch.readthedocs.io/en/stable/",
        [
            ("skorch.NeuralNet", "py:class", "net.html#skorch.net.NeuralNet"),
            (
                "skorch.callbacks.EarlyStopping",
                "py:class",
                "callbacks.html#skorch.callbacks.EarlyStopping",
            ),
            (
                "skorch.callbacks.Checkpoint",
                "py:class",
                "callbacks.html#skorch.callbacks.Checkpoint",
            ),
        ],
    ),
    "torch": (
        "https://docs.pytorch.org/docs/stable/",
        [
            (
                "torch.nn.Module",
                "py:class",
                "generated/torch.nn.Module.html#torch.nn.Module",
            ),
            ("torch.export.export", "py:function", "export.html#torch.export.export"),
        ],
    ),
}
